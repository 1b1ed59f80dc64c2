package addons

import (
	"strings"
	"testing"

	"github.com/statefulset-dev/drain-operator/hack/cluster/layout"
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
		t.Errorf("without anybody to ask, and on three nodes, got\n%s", alone)
	}
}
