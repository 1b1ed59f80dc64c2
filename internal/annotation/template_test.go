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

package annotation

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// published is the example that the controller was published with, but for its command.
const published = `{
  "metadata": {
    "labels": {
      "app": "datastore-cleanup"
    }
  },
  "spec": {
    "terminationGracePeriodSeconds": 5,
    "containers": [
      {
        "name": "main",
        "image": "busybox",
        "command": ["/bin/sh", "-c", "rm /var/data/test.txt"],
        "volumeMounts": [
          {
            "name": "data",
            "mountPath": "/var/data"
          }
        ]
      }
    ]
  }
}
`

func publishedTemplate() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "datastore-cleanup"}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: ptr.To[int64](5),
			Containers: []corev1.Container{{
				Name: "main", Image: "busybox", Command: []string{"/bin/sh", "-c", "rm /var/data/test.txt"},
				VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/var/data"}},
			}},
		},
	}
}

func TestParseReads(t *testing.T) {
	least := corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a"}}}}
	with := func(mutate func(*corev1.PodTemplateSpec)) corev1.PodTemplateSpec {
		template := least.DeepCopy()
		mutate(template)
		return *template
	}
	for name, tc := range map[string]struct {
		text string
		want corev1.PodTemplateSpec
	}{
		"the published example": {published, publishedTemplate()},
		"a whole Pod, of which labels, annotations and spec count": {
			`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x","namespace":"other","finalizers":["example.com/f"],"creationTimestamp":null,
			  "annotations":{"a":"b"},"ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"y","uid":"z"}]},
			  "spec":{"containers":[{"name":"a"}]},"status":{"phase":"Running"}}`,
			with(func(p *corev1.PodTemplateSpec) { p.Annotations = map[string]string{"a": "b"} }),
		},
		"restartPolicy OnFailure": {
			`{"spec":{"restartPolicy":"OnFailure","containers":[{"name":"a"}]}}`,
			with(func(p *corev1.PodTemplateSpec) { p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure }),
		},
		"restartPolicy Never, which the old controller refused": {
			`{"spec":{"restartPolicy":"Never","containers":[{"name":"a"}]}}`,
			with(func(p *corev1.PodTemplateSpec) { p.Spec.RestartPolicy = corev1.RestartPolicyNever }),
		},
		"the old name of serviceAccountName": {
			`{"spec":{"serviceAccount":"s","serviceAccountName":"s","containers":[{"name":"a"}]}}`,
			with(func(p *corev1.PodTemplateSpec) { p.Spec.ServiceAccountName, p.Spec.DeprecatedServiceAccount = "s", "s" }),
		},
		"an empty nodeName, which is none": {`{"spec":{"nodeName":"","containers":[{"name":"a"}]}}`, least},
		"braces in a string, which are no objects": {
			`{"spec":{"containers":[{"name":"a","image":"\"` + strings.Repeat("{", 2000) + `"}]}}`,
			with(func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Image = `"` + strings.Repeat("{", 2000) }),
		},
		"white space around it": {"\n\t {\"spec\":{\"containers\":[{\"name\":\"a\"}]}} \n\n", least},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("template (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseSaysWhereAndWhat(t *testing.T) {
	container := func(rest string) string {
		return `{"spec":{"containers":[{"name":"a"},` + "\n" + `{"name":"b",` + rest + `}]}}`
	}
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":          {"", "line 1, column 1: unexpected end of JSON input"},
		"only white space": {" \n ", "line 1, column 1: unexpected end of JSON input"},
		"no JSON":          {"spec: {}", "line 1, column 1: invalid character 's' looking for beginning of value"},
		"a comma too many": {"{\n  \"spec\": {\n    \"containers\": [\n      {\"name\": \"a\",}\n    ]}}",
			"line 4, column 20: invalid character '}' looking for beginning of object key string"},
		"a comma missing": {"{\n  \"metadata\": {}\n  \"spec\": {}\n}",
			"line 3, column 3: invalid character '\"' after object key:value pair"},
		"a quote missing": {"{\"spec", "line 1, column 7: unexpected end of JSON input"},
		"an end missing":  {"{\n  \"spec\": {\n  }\n", "line 3, column 4: unexpected end of JSON input"},
		"more than JSON":  {`{} {}`, "line 1, column 4: invalid character '{' after top-level value"},
		"letters of several bytes": {"{\n\"metadata\": {\"labels\": {\"größe\": \"ü\" \"x\"",
			"line 2, column 38: invalid character '\"' after object key:value pair"},
		"nested too deep": {strings.Repeat("[", 20000),
			"line 1, column 10001: invalid character '[' exceeded max depth"},
		"null":     {"null", "line 1, column 1: spec.containers: must have at least one container"},
		"an array": {"[]", "line 1, column 1: got an array, want an object"},
		"a string": {`"{}"`, "line 1, column 1: got a string, want an object"},
		"containers that are none": {`{"spec": {"containers": {}}}`,
			"line 1, column 25: spec.containers: got an object, want an array"},
		"a number for a string": {container(`"image": 1`),
			"line 2, column 22: spec.containers[1].image: got a number, want a string"},
		"a string for a number": {container(`"ports": [{"containerPort": 1}, {"containerPort": "80"}]`),
			"line 2, column 63: spec.containers[1].ports[1].containerPort: got a string, want a whole number"},
		"a fraction": {container(`"ports": [{"containerPort": 1.5}]`),
			"line 2, column 41: spec.containers[1].ports[0].containerPort: got number 1.5, want a whole number"},
		"a string for a boolean": {container(`"tty": "yes"`),
			"line 2, column 20: spec.containers[1].tty: got a string, want a boolean"},
		"a boolean for an object": {container(`"resources": true`),
			"line 2, column 26: spec.containers[1].resources: got a boolean, want an object"},
		"a number for a label": {`{"metadata":{"labels":{"app.kubernetes.io/part":1}}}`,
			"line 1, column 49: metadata.labels.app.kubernetes.io/part: got a number, want a string"},
		"a quantity that is none": {container("\n  \"resources\": {\"limits\": {\"cpu\": \"1\", \"memory\": \"5 Gi\"}}"),
			"line 3, column 50: spec.containers[1].resources.limits.memory: " +
				"quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"},
		"a port that is none": {container(`"livenessProbe":{"httpGet":{"port":true}}`),
			"line 2, column 48: spec.containers[1].livenessProbe.httpGet.port: got a boolean, want a whole number"},
		"an unknown field": {container(`"imgae": "x"`),
			`line 2, column 13: unknown field "spec.containers[1].imgae"`},
		"a field in the wrong case": {`{"Spec":{}}`, `line 1, column 2: unknown field "Spec"`},
		"a field twice": {container(`"image": "x", "image": "y"`),
			`line 2, column 27: duplicate field "spec.containers[1].image"`},
		"a field in an array's 3rd": {`{"spec":{"containers":[{"name":"a"},{"name":"b"},{"name":"c","x":{"y":1}}]}}`,
			`line 1, column 62: unknown field "spec.containers[2].x"`},
		"a label twice, escaped": {`{"metadata":{"labels":{"a":"1","b":"2","\u0061":"3"}}}`,
			`line 1, column 40: duplicate field "metadata.labels.a"`},
		"a mistake before a 2nd": {`{"metadata":{"labels":{"a":"1","b":2,"a":"3"}}}`,
			`line 1, column 36: metadata.labels.b: got a number, want a string`},
		"a 2nd that is a mistake": {`{"metadata":{"labels":{"a":"1","a":2}}}`,
			`line 1, column 36: metadata.labels.a: got a number, want a string`},
		"what is raw may be twice": {`{"metadata":{"managedFields":[{"fieldsV1":{"a":1,"a":2}}],"labels":{"a":1}}}`,
			`line 1, column 73: metadata.labels.a: got a number, want a string`},
		"too large": {
			`{"spec":{"containers":[{"name":"` + strings.Repeat("a", drainv1alpha1.MaxTemplateBytes) + `"}]}}`,
			"line 1, column 1: the template is larger than 65536 bytes of JSON, the most that the operator accepts",
		},
		"too many objects": {`{"spec":{"containers":[` + strings.Repeat(`{},`, 2000) + `{}]}}`,
			"line 1, column 1: the template has 2003 objects in it, and the operator accepts at most 1024"},
		"the first of many mistakes": {container(`"tty": 1, "imgae": "x", "stdin": 2`),
			"line 2, column 20: spec.containers[1].tty: got a number, want a boolean"},
		"another kind": {`{"kind":"Deployment"}`, `line 1, column 9: kind: must be Pod, not "Deployment"`},
		"another version": {"{\n\"apiVersion\":\"apps/v1\",\"kind\":\"Pod\"}",
			`line 2, column 14: apiVersion: must be v1, not "apps/v1"`},
		"no spec": {"\n\n{}", "line 1, column 1: spec.containers: must have at least one container"},
		"no containers in a spec": {"{\n\"spec\":\n{}}",
			"line 3, column 1: spec.containers: must have at least one container"},
		"no containers": {`{"spec":{"containers":[]}}`,
			"line 1, column 23: spec.containers: must have at least one container"},
		"restartPolicy Always": {`{"spec":{"containers":[{"name":"a"}],"restartPolicy":"Always"}}`,
			"line 1, column 54: spec.restartPolicy: must be OnFailure or Never: a drain has an end"},
		"a node": {`{"spec":{"containers":[{"name":"a"}],"nodeName":"n"}}`,
			"line 1, column 49: spec.nodeName: may not be set: a drain must be able to run on any node; " +
				"use nodeSelector or affinity"},
		"a deadline of the pod's": {`{"spec":{"containers":[{"name":"a"}],"activeDeadlineSeconds":0}}`,
			"line 1, column 62: spec.activeDeadlineSeconds: may not be set: " +
				"use spec.job.activeDeadlineSeconds of the DrainPolicy"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tc.text)
			if err == nil {
				t.Fatalf("Parse gives %v, want an error", got)
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadNamesAnnotationAndStatefulSet(t *testing.T) {
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "store", Annotations: map[string]string{
		string(drainv1alpha1.ScaledownPodTemplateAnnotation): published,
		string(drainv1alpha1.DrainerPodTemplateAnnotation):   "{",
	}}}
	got, err := Read(set, drainv1alpha1.ScaledownPodTemplateAnnotation)
	if diff := cmp.Diff(publishedTemplate(), got); err != nil || diff != "" {
		t.Errorf("error %v, template (-want +got):\n%s", err, diff)
	}
	for _, step := range []struct{ want string }{
		{`annotation statefulsets.kubernetes.io/drainer-pod-template of StatefulSet "store", line 1, column 2: ` +
			"unexpected end of JSON input"},
		{`StatefulSet "store" has no annotation statefulsets.kubernetes.io/drainer-pod-template`},
	} {
		if _, err := Read(set, drainv1alpha1.DrainerPodTemplateAnnotation); err == nil || err.Error() != step.want {
			t.Errorf("error %v, want %s", err, step.want)
		}
		set.Annotations[string(drainv1alpha1.DrainerPodTemplateAnnotation)] = ""
	}
}

var positioned = regexp.MustCompile(`^line (\d+), column (\d+): .`)

// FuzzParse holds that whatever an annotation holds, it is a template that means the same when it is
// written and read again, or an error at a place that is in the text.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		published, "", "null", "[]", `{"spec":{"containers":[{"name":"a","name":"b"}]}}`,
		`{"spec":{"containers":[{"imgae":1}]}}`,
		`{"spec":{"containers":[{"resources":{"limits":{"cpu":"x"}}}]}}`, "{\"metadata\":{\"labels\":{\"ü\":\n1}}}",
		`{"metadata":{"managedFields":[{"fieldsV1":{"f:a":{}}}]},"spec":{"volumes":[{"ephemeral":{}}],"containers":[{"livenessProbe":{"httpGet":{"port":{}}}}]}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		template, err := Parse(text)
		if err != nil {
			match := positioned.FindStringSubmatch(err.Error())
			if match == nil {
				t.Fatalf("the error names no place: %v", err)
			}
			line, _ := strconv.Atoi(match[1])
			column, _ := strconv.Atoi(match[2])
			lines := strings.Split(text, "\n")
			if line < 1 || line > len(lines) || column < 1 || column > len([]rune(lines[line-1]))+1 {
				t.Fatalf("the place is not in the text: %v", err)
			}
			return
		}
		if len(template.Spec.Containers) == 0 {
			t.Fatal("the template has no containers")
		}
		again, err := json.Marshal(corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec})
		if err != nil {
			t.Fatal(err)
		}
		if TooLarge(string(again)) != "" {
			return // Fields that the API always writes out have made it larger.
		}
		same, err := Parse(string(again))
		if err != nil {
			t.Fatalf("what was written of it can't be read: %v\n%s", err, again)
		}
		twice, err := json.Marshal(corev1.Pod{ObjectMeta: same.ObjectMeta, Spec: same.Spec})
		if err != nil || !bytes.Equal(again, twice) {
			t.Fatalf("it means something else when it is read again:\n%s\n%s\n%v", again, twice, err)
		}
	})
}
