/*
Copyright 2026 The drain-operator Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

// Command manager runs drain-operator.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// The exit codes of the manager, beside 0: a signal has stopped it.
const (
	exitFailed = 1 // The manager can't go on. The log says why.
	exitUsage  = 2 // The flags are wrong, and nothing was started.
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "check" {
		os.Exit(checkInstallation(os.Args[2:]))
	}
	o, err := parse(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintf(os.Stderr, "manager: %v\nRun \"manager --help\" for the flags.\n", err)
		os.Exit(exitUsage)
	case o.version:
		fmt.Fprintln(os.Stdout, buildLine())
		return
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&o.zap)))
	klog.SetLogger(ctrl.Log) // client-go logs through klog.
	if err := run(ctrl.SetupSignalHandler(), &o); err != nil {
		ctrl.Log.Error(err, "drain-operator failed")
		os.Exit(exitFailed)
	}
}
