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

package main

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
)

func TestManagerRefusesAFolderWithoutACertificate(t *testing.T) {
	t.Parallel()
	_, err := parse([]string{"--metrics-cert-path=" + t.TempDir()}, io.Discard)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "--metrics-cert-path") {
		t.Errorf("parse() = %v, want an error that names the flag and says that the file doesn't exist", err)
	}
}

func TestMetricsAreServedWithTheCertificateOfTheFlag(t *testing.T) {
	t.Parallel()
	if got := managerOptions(&options{metricsCert: "/certificate", metricsSecure: true}, nil, &watches{}).Metrics.CertDir; got != "/certificate" {
		t.Errorf("CertDir = %q, want that of --metrics-cert-path", got)
	}
}
