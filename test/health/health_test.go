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

package health

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

const (
	statesFile = "../../internal/plan/testdata/states.txt"
	reasonFile = "../../api/v1alpha1/conditions.go"
	luaFile    = "../../config/argocd/health.lua"
)

// state is what a tool sees of a policy: "Ready=True/Accepted Drained=… Stalled=…", and "deleting" or "unobserved" before it.
type state string

// object returns a policy in that state, as the API server sends it.
func (s state) object(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	metadata := map[string]any{"name": "web", "namespace": "shop", "generation": int64(3)}
	shown := map[string]any{"observedGeneration": int64(3)}
	var conditions []any
	for word := range strings.FieldsSeq(string(s)) {
		kind, value, isCondition := strings.Cut(word, "=")
		switch {
		case isCondition:
			status, reason, _ := strings.Cut(value, "/")
			conditions = append(conditions, map[string]any{
				"type": kind, "status": status, "reason": reason, "message": kind + " says " + reason, "lastTransitionTime": "2026-08-01T12:00:00Z",
			})
		case word == "deleting":
			metadata["deletionTimestamp"] = "2026-08-01T12:00:00Z"
		case word == "unobserved":
			shown["observedGeneration"] = int64(2)
		case word == "new":
			shown["observedGeneration"] = int64(-1)
		default:
			t.Fatalf("state %q has the word %q, which means nothing", s, word)
		}
	}
	if len(conditions) > 0 {
		shown["conditions"] = conditions
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "drain.statefulset.dev/v1alpha1", "kind": "DrainPolicy", "metadata": metadata, "status": shown,
	}}
}

// reads is what a person would say about a state, in the words of both tools.
type reads struct {
	kstatus status.Status
	argo    string
	// message is the condition whose message Argo CD shows.
	message string
}

// person reads a state as a person does who knows what the words mean.
func (s state) person(t *testing.T) reads {
	t.Helper()
	has := func(word string) bool { return strings.Contains(" "+string(s)+" ", " "+word) }
	switch {
	case has("new"), has("unobserved"):
		// Not known yet.
		return reads{status.InProgressStatus, "Progressing", ""}
	case has("deleting"):
		return reads{status.TerminatingStatus, "Progressing", "Ready"}
	case has("Stalled=True"):
		// A person must act.
		return reads{status.FailedStatus, "Degraded", "Stalled"}
	case has("Ready=False/StatefulSetNotFound"), has("Ready=False/ManagedPolicyYielding"), has("Ready=Unknown/PreflightFailed"),
		has("Ready=Unknown/LookFailed"):
		// Something else comes first, and is expected to come.
		return reads{status.InProgressStatus, "Progressing", "Ready"}
	case has("Ready=True/Suspended"):
		// As the author of the policy asked.
		return reads{status.CurrentStatus, "Suspended", "Ready"}
	case has("Ready=True") && has("Drained=True"):
		return reads{status.CurrentStatus, "Healthy", "Ready"}
	case has("Ready=True"):
		// The policy does what it should. How far its drains are is in the message.
		return reads{status.CurrentStatus, "Healthy", "Drained"}
	}
	t.Fatalf("no one has said how a person reads %q: add it", s)
	return reads{}
}

// states are all that the stories of the planner go through, and those that they don't reach.
func states(t *testing.T) []state {
	t.Helper()
	text, err := os.ReadFile(statesFile)
	if err != nil {
		t.Fatal(err)
	}
	all := []state{
		"new",
		"unobserved Ready=True/Accepted Drained=True/NoOrphans Stalled=False/Progressing",
		"unobserved Ready=False/PolicyConflict Drained=Unknown/PolicyConflict Stalled=True/PolicyConflict",
		"Ready=Unknown/LookFailed Drained=True/NoOrphans Stalled=False/Progressing",
		"Ready=Unknown/LookFailed Drained=False/JobRunning Stalled=True/PodUnschedulable",
		"Ready=Unknown/PreflightFailed Drained=True/NoOrphans Stalled=False/Progressing",
		"Ready=True/RetainsClaims Drained=False/Retained Stalled=False/Progressing",
		"Ready=True/Accepted Drained=False/ClaimsStranded Stalled=False/Progressing",
		"Ready=True/Suspended Drained=False/JobRunning Stalled=True/PodUnschedulable",
		"Ready=False/ManagedPolicyYielding Drained=Unknown/ManagedPolicyYielding Stalled=False/Progressing",
		"deleting Ready=False/PolicyDeleted Drained=False/StoppingJob Stalled=True/StoppingJob",
	}
	for _, reason := range []string{"NoClaimTemplates", "ClaimsDeletedOnScaleDown", "ClaimsDeletedWithStatefulSet", "GracePeriodZero", "NoMatchLabels",
		"TooManyClaimTemplates", "PolicyConflict", "InvalidTemplate", "AmbiguousClaims"} {
		all = append(all, state(fmt.Sprintf("Ready=False/%[1]s Drained=True/NoOrphans Stalled=True/%[1]s", reason)))
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, state(line))
		}
	}
	return all
}

// TestEveryReasonOfReadyIsInAState keeps the states complete.
func TestEveryReasonOfReadyIsInAState(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), reasonFile, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	all, found := states(t), 0
	for _, declaration := range file.Decls {
		block, ok := declaration.(*ast.GenDecl)
		if !ok || !strings.HasPrefix(block.Doc.Text(), "Reasons of the Ready condition") {
			continue
		}
		for _, spec := range block.Specs {
			reason := strings.Trim(spec.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value, `"`)
			found++
			missing := true
			for _, s := range all {
				missing = missing && !strings.Contains(string(s), "Ready=True/"+reason) && !strings.Contains(string(s), "Ready=False/"+reason) &&
					!strings.Contains(string(s), "Ready=Unknown/"+reason)
			}
			if missing {
				t.Errorf("no state has Ready for the reason %s", reason)
			}
		}
	}
	if found == 0 {
		t.Errorf("%s has no reasons of Ready where they were", reasonFile)
	}
}

func TestToolsReadEveryStateAsAPersonWould(t *testing.T) {
	all := states(t)
	if len(all) < 60 {
		t.Errorf("there are %d states only", len(all))
	}
	for _, s := range all {
		t.Run(string(s), func(t *testing.T) {
			want, object := s.person(t), s.object(t)
			got, err := status.Compute(object)
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != want.kstatus {
				t.Errorf("kstatus reads %s (%s), want %s", got.Status, got.Message, want.kstatus)
			}
			argo, message := argoHealth(t, object)
			if argo != want.argo {
				t.Errorf("Argo CD reads %s (%s), want %s", argo, message, want.argo)
			}
			if message == "" || want.message != "" && !strings.HasPrefix(message, want.message+" says ") {
				t.Errorf("Argo CD shows %q, want the message of %s", message, want.message)
			}
		})
	}
}

// TestArgoReadsAPolicyWithoutAStatus has one that no operator has seen, as of a CRD without a default for its status.
func TestArgoReadsAPolicyWithoutAStatus(t *testing.T) {
	object := state("new").object(t)
	delete(object.Object, "status")
	if got, message := argoHealth(t, object); got != "Progressing" || message == "" {
		t.Errorf("Argo CD reads %s (%s), want Progressing", got, message)
	}
}

// argoHealth runs the script as Argo CD does (util/lua): without the libraries that reach outside, and with the object as the table obj.
func argoHealth(t *testing.T, object *unstructured.Unstructured) (health, message string) {
	t.Helper()
	script, err := os.ReadFile(luaFile)
	if err != nil {
		t.Fatal(err)
	}
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}, {lua.StringLibName, lua.OpenString}} {
		if err := l.CallByParam(lua.P{Fn: l.NewFunction(library.open), Protect: true}, lua.LString(library.name)); err != nil {
			t.Fatal(err)
		}
	}
	l.SetGlobal("obj", luaValue(l, object.Object))
	if err := l.DoString(string(script)); err != nil {
		t.Fatal(err)
	}
	table, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the script returns %s, want a table", l.Get(-1).Type())
	}
	return table.RawGetString("status").String(), table.RawGetString("message").String()
}

// luaValue is Argo CD's decodeValue: numbers are floats there.
func luaValue(l *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case string:
		return lua.LString(value)
	case int64:
		return lua.LNumber(value)
	case []any:
		table := l.CreateTable(len(value), 0)
		for _, item := range value {
			table.Append(luaValue(l, item))
		}
		return table
	case map[string]any:
		table := l.CreateTable(0, len(value))
		for key, item := range value {
			table.RawSetH(lua.LString(key), luaValue(l, item))
		}
		return table
	}
	return lua.LNil
}
