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

package addons

import (
	"strings"
	"testing"

	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/layout"
)

func TestManifests(t *testing.T) {
	l := layout.Layout{State: "/checkout/.cluster", Slot: 1}
	got, err := Manifests(l, 1, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"clusterIP: " + l.DNSIP() + "\n", "image: " + CoreDNSImage + "\n", "provisioner: " + layout.Provisioner + "\n",
		"  replicas: 1\n", "forward . /etc/resolv.conf\n", `storageclass.kubernetes.io/is-default-class: "true"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "<no value>") || strings.Contains(got, "{{") {
		t.Errorf("not filled in:\n%s", got)
	}
	alone, err := Manifests(l, 3, false)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(alone, "forward") || !strings.Contains(alone, "  replicas: 2\n") {
		t.Errorf("without an upstream server, and on three nodes, got\n%s", alone)
	}
}
