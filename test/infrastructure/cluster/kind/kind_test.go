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

package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/binaries"
)

// recorder notes the command lines and answers them.
type recorder struct {
	lines   []string
	inputs  []string
	answers map[string]string
	fails   map[string]bool
}

func (r *recorder) run(_ context.Context, input string, args ...string) (string, error) {
	line := strings.Join(args, " ")
	r.lines = append(r.lines, line)
	r.inputs = append(r.inputs, input)
	if r.fails[line] {
		return "", errors.New("it fails")
	}
	return r.answers[line], nil
}

func newProvider(t *testing.T) (*Provider, *recorder) {
	t.Helper()
	r := &recorder{answers: map[string]string{}, fails: map[string]bool{}}
	return &Provider{State: filepath.Join(t.TempDir(), ".cluster"), Report: t.Logf, run: r.run}, r
}

func (r *recorder) want(t *testing.T, lines ...string) {
	t.Helper()
	if !slices.Equal(r.lines, lines) {
		t.Errorf("ran\n  %s\nwant\n  %s", strings.Join(r.lines, "\n  "), strings.Join(lines, "\n  "))
	}
}

func TestUp(t *testing.T) {
	p, r := newProvider(t)
	if err := p.Up(t.Context(), 2, binaries.Kubernetes{}); err != nil {
		t.Fatal(err)
	}
	r.want(t, "kind get clusters",
		fmt.Sprintf("kind create cluster --name=drain-operator --kubeconfig=%s/kubeconfig --config=- --wait=3m", p.State))
	config := r.inputs[1]
	if strings.Count(config, "- role: worker\n") != 2 || strings.Count(config, "- role: control-plane\n") != 1 {
		t.Errorf("got config\n%s", config)
	}
	if name, err := Chosen(p.State); err != nil || name != Name {
		t.Errorf("got provider %q, %v", name, err)
	}
}

func TestUpWithAMinor(t *testing.T) {
	p, r := newProvider(t)
	asked, err := binaries.FindKubernetes("1.36")
	if err != nil {
		t.Fatal(err)
	}
	asked.Gates = "A=true,B=false"
	if err := p.Up(t.Context(), 1, asked); err != nil {
		t.Fatal(err)
	}
	if line := r.lines[1]; !strings.HasSuffix(line, " --image="+asked.KindImage) {
		t.Errorf("ran %s, want the image %s", line, asked.KindImage)
	}
	if config := r.inputs[1]; !strings.HasSuffix(config, "featureGates:\n  A: true\n  B: false\n") {
		t.Errorf("got config\n%s", config)
	}

	r.answers["kind get clusters"] = "drain-operator\n"
	if err := p.Up(t.Context(), 1, asked); err != nil {
		t.Errorf("got %v for the same Kubernetes again", err)
	}
	if err := p.Up(t.Context(), 1, binaries.Kubernetes{}); err != nil {
		t.Errorf("got %v for whatever runs", err)
	}
	if err := p.Up(t.Context(), 1, binaries.Newest()); err == nil || !strings.Contains(err.Error(), "1.36 with A=true,B=false: take it down first") {
		t.Errorf("got %v for another Kubernetes, want what to do", err)
	}
}

func TestUpAgain(t *testing.T) {
	p, r := newProvider(t)
	r.answers["kind get clusters"] = "other\ndrain-operator\n"
	if err := p.Up(t.Context(), 2, binaries.Kubernetes{}); err != nil {
		t.Fatal(err)
	}
	r.want(t, "kind get clusters",
		fmt.Sprintf("kubectl --kubeconfig=%s/kubeconfig wait --for=condition=Ready nodes --all --timeout=30s", p.State))
}

func TestUpReplacesABrokenCluster(t *testing.T) {
	p, r := newProvider(t)
	r.answers["kind get clusters"] = "drain-operator\n"
	check := fmt.Sprintf("kubectl --kubeconfig=%s/kubeconfig wait --for=condition=Ready nodes --all --timeout=30s", p.State)
	r.fails[check] = true
	if err := p.Up(t.Context(), 1, binaries.Kubernetes{}); err != nil {
		t.Fatal(err)
	}
	r.want(t, "kind get clusters", check, "kind delete cluster --name=drain-operator",
		fmt.Sprintf("kind create cluster --name=drain-operator --kubeconfig=%s/kubeconfig --config=- --wait=3m", p.State))
}

func TestDown(t *testing.T) {
	p, r := newProvider(t)
	if err := os.MkdirAll(p.State, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := p.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.want(t, "kind delete cluster --name=drain-operator")
	if _, err := os.Stat(p.State); err == nil {
		t.Error("the folder is left")
	}
}

func TestLoad(t *testing.T) {
	p, r := newProvider(t)
	if err := p.Load(t.Context(), []string{"/a.tar", "/b.tar"}); err != nil {
		t.Fatal(err)
	}
	r.want(t, "kind load image-archive --name=drain-operator /a.tar", "kind load image-archive --name=drain-operator /b.tar")
}

func TestNode(t *testing.T) {
	inspect := "docker inspect --format={{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}} drain-operator-worker2"
	for name, test := range map[string]struct {
		number   int
		action   string
		networks string
		want     []string
	}{
		"crash":     {1, "crash", "", []string{"docker kill drain-operator-worker"}},
		"partition": {2, "partition", "", []string{"docker network disconnect --force kind drain-operator-worker2"}},
		"heal a crash": {2, "heal", "kind ", []string{
			inspect, "docker start drain-operator-worker2",
			"kubectl --kubeconfig=STATE/kubeconfig wait --for=condition=Ready node/drain-operator-worker2 --timeout=2m",
		}},
		"heal a partition": {2, "heal", "", []string{
			inspect, "docker network connect kind drain-operator-worker2", "docker start drain-operator-worker2",
			"kubectl --kubeconfig=STATE/kubeconfig wait --for=condition=Ready node/drain-operator-worker2 --timeout=2m",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p, r := newProvider(t)
			r.answers[inspect] = test.networks
			if err := p.Node(t.Context(), test.number, test.action); err != nil {
				t.Fatal(err)
			}
			for i, line := range r.lines {
				r.lines[i] = strings.ReplaceAll(line, p.State, "STATE")
			}
			r.want(t, test.want...)
		})
	}
	p, r := newProvider(t)
	if err := p.Node(t.Context(), 1, "explode"); err == nil || len(r.lines) > 0 {
		t.Errorf("an unknown fault gave %v and ran %v", err, r.lines)
	}
}

func TestControlPlane(t *testing.T) {
	p, r := newProvider(t)
	for _, action := range []string{"crash", "heal"} {
		if err := p.ControlPlane(t.Context(), action); err != nil {
			t.Fatal(err)
		}
	}
	r.want(t, "docker exec drain-operator-control-plane pkill -KILL -x etcd|kube-apiserver",
		"docker exec drain-operator-control-plane timeout 120 sh -c until kubectl --kubeconfig=/etc/kubernetes/admin.conf get --raw=/readyz; do sleep 1; done")
}
