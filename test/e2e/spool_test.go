//go:build e2e

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

package e2e

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// ledger is every line that a replica has acknowledged: none of them may be lost.
type ledger struct {
	mu    sync.Mutex
	next  int
	lines map[string]bool
}

// draw makes lines that there never were before. Each bears its own checksum.
func (l *ledger) draw(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := make([]string, 0, n)
	for range n {
		l.next++
		text := fmt.Sprintf("line %d %s", l.next, strings.Repeat("x", l.next%997))
		lines = append(lines, text+" "+checksum([]byte(text)))
	}
	return lines
}

func (l *ledger) acknowledged(lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range lines {
		l.lines[line] = true
	}
}

// spoolTo writes lines to one replica.
func (w *world) spoolTo(ctx context.Context, l *ledger, ordinal int32, n int) {
	GinkgoHelper()
	lines := l.draw(n)
	answer, err := w.proxied(ctx, http.MethodPost, ordinal, []string{"lines"}, []byte(strings.Join(lines, "\n")+"\n"))
	Expect(err).NotTo(HaveOccurred())
	Expect(string(answer)).To(Equal(fmt.Sprintf("spool-%d\n", ordinal)))
	l.acknowledged(lines)
}

// visitSpool lets a client write all along, to whichever replica the Service chooses.
func (w *world) visitSpool(ctx context.Context, l *ledger) *visitor {
	return visit(ctx, func(ctx context.Context) error {
		lines := l.draw(1)
		err := clientset.CoreV1().RESTClient().Post().Namespace(w.namespace).Resource("services").Name("spool-ingest:http").
			SubResource("proxy").Suffix("lines").Body([]byte(lines[0] + "\n")).Do(ctx).Error()
		if err == nil {
			l.acknowledged(lines)
		}
		return err
	})
}

// expectStored holds that the store has every line that was acknowledged, once, and each as it was written.
func (w *world) expectStored(ctx context.Context, l *ledger) {
	GinkgoHelper()
	objects := w.objects(ctx, w.namespace+"/spool-")
	By(fmt.Sprintf("looking for %d lines in %d objects", len(l.lines), len(objects)))
	stored := map[string]bool{}
	for key, content := range objects {
		for line := range strings.Lines(content) {
			line = strings.TrimSuffix(line, "\n")
			text, sum := line[:strings.LastIndex(line, " ")], line[strings.LastIndex(line, " ")+1:]
			Expect(checksum([]byte(text))).To(Equal(sum), "a line in %s", key)
			Expect(stored).NotTo(HaveKey(line), "a line in %s is there twice", key)
			stored[line] = true
		}
	}
	var missing []string
	for line := range l.lines {
		if !stored[line] {
			missing = append(missing, line)
		}
	}
	Expect(missing).To(BeEmpty(), "lines that were acknowledged and are not in the store")
	seen("%d lines acknowledged, %d of them in the store, in %d objects", len(l.lines), len(l.lines)-len(missing), len(objects))
}

// objects reads the store's objects of a prefix, as any S3 client does. What is in it was written by another one.
func (w *world) objects(ctx context.Context, prefix string) map[string]string {
	GinkgoHelper()
	var secret corev1.Secret
	Expect(cluster.Get(ctx, w.key("spool-store"), &secret)).To(Succeed())
	bucket := s3{
		key: string(secret.Data["RCLONE_CONFIG_STORE_ACCESS_KEY_ID"]), secret: string(secret.Data["RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY"]),
		url: w.forward(ctx, "service/spool-store", 9000) + "/spool",
	}
	var list struct {
		IsTruncated bool
		Contents    []struct{ Key string }
	}
	Expect(xml.Unmarshal(bucket.get(ctx, "", url.Values{"list-type": {"2"}, "prefix": {prefix}}), &list)).To(Succeed())
	Expect(list.IsTruncated).To(BeFalse(), "there are more objects than one answer has")
	objects := map[string]string{}
	for _, object := range list.Contents {
		objects[object.Key] = string(bucket.get(ctx, "/"+object.Key, nil))
	}
	return objects
}

// forward makes a port reachable from here until the test ends, by `kubectl port-forward`, and gives its address.
func (w *world) forward(ctx context.Context, what string, port int) string {
	GinkgoHelper()
	command := exec.CommandContext(ctx, "kubectl", "--namespace="+w.namespace, "port-forward", what, fmt.Sprintf(":%d", port))
	output, err := command.StdoutPipe()
	Expect(err).NotTo(HaveOccurred())
	Expect(command.Start()).To(Succeed())
	DeferCleanup(func() {
		_ = command.Process.Kill() // It may have ended with what it leads to.
		_ = command.Wait()
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	Expect(err).NotTo(HaveOccurred())
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(line)
	Expect(address).NotTo(BeEmpty(), "kubectl port-forward says %q", line)
	return "http://" + address
}

// s3 is a bucket that is read with signed requests (AWS Signature Version 4).
type s3 struct{ key, secret, url string }

func (b s3) get(ctx context.Context, path string, query url.Values) []byte {
	GinkgoHelper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+path+"?"+query.Encode(), nil)
	Expect(err).NotTo(HaveOccurred())
	now := time.Now().UTC()
	date, day, nothing := now.Format("20060102T150405Z"), now.Format("20060102"), checksum(nil)
	request.Header.Set("X-Amz-Date", date)
	request.Header.Set("X-Amz-Content-Sha256", nothing)
	const signed = "host;x-amz-content-sha256;x-amz-date"
	canonical := strings.Join([]string{http.MethodGet, request.URL.EscapedPath(), request.URL.RawQuery,
		"host:" + request.URL.Host, "x-amz-content-sha256:" + nothing, "x-amz-date:" + date, "", signed, nothing}, "\n")
	scope := day + "/us-east-1/s3/aws4_request"
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		_, _ = io.WriteString(h, text) // It never fails, hash.Hash says so.
		return h.Sum(nil)
	}
	key := []byte("AWS4" + b.secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	signature := hex.EncodeToString(mac(key, strings.Join([]string{"AWS4-HMAC-SHA256", date, scope, checksum([]byte(canonical))}, "\n")))
	request.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", b.key, scope, signed, signature))
	response, err := http.DefaultClient.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	Expect(response.StatusCode).To(Equal(http.StatusOK), "%s: %s", request.URL, body)
	return body
}

// scaleStore starts or stops the store.
func (w *world) scaleStore(ctx context.Context, replicas int) {
	GinkgoHelper()
	w.kubectl(ctx, "scale", "deployment/spool-store", fmt.Sprintf("--replicas=%d", replicas))
	if replicas == 0 {
		w.kubectl(ctx, "wait", "pod", "--selector=app.kubernetes.io/name=spool-store", "--for=delete", "--timeout=90s")
		return
	}
	w.kubectl(ctx, "rollout", "status", "deployment/spool-store", "--timeout=90s")
}

var _ = Describe("The recipe spool", Label("recipes"), func() {
	It("uploads what is left on a volume, verifies it and only then lets the claim go, down to zero", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.applySample(ctx, "spool", "spool")
		w.expectSample(ctx, 3)
		w.scaleStore(ctx, 1)
		lines := &ledger{lines: map[string]bool{}}
		for ordinal := range int32(3) {
			w.spoolTo(ctx, lines, ordinal, 100)
			w.spoolTo(ctx, lines, ordinal, 100)
		}
		client := w.visitSpool(ctx, lines)

		By("scaling down while the store is away")
		w.scaleStore(ctx, 0)
		w.scale(ctx, 1)
		for _, ordinal := range []int32{2, 1} {
			said := w.expectMessage(ctx, ordinal, "connection refused")
			Expect(w.policy(ctx, "spool").Status.Kept).To(HaveValue(BeZero()))
			seen("ordinal %d, without the store: %s", ordinal, said)
		}
		for _, pvc := range objectsOf[*corev1.PersistentVolumeClaim](w.recorder) {
			Expect(pvc.DeletionTimestamp).To(BeNil(), "claim %s", pvc.Name)
			Expect(pvc.Annotations).NotTo(HaveKey(drainv1alpha1.DrainedAnnotation), "claim %s", pvc.Name)
		}

		By("bringing the store back")
		w.scaleStore(ctx, 1)
		for _, ordinal := range []int32{2, 1} {
			w.expectNoClaim(ctx, fmt.Sprintf("data-spool-%d", ordinal))
			entry := w.expectEnd(ctx, ordinal, drainv1alpha1.ReasonClaimsDeleted)
			Expect(entry.Message).To(ContainSubstring("0 differences found"), "the words of the container that verifies")
		}

		w.spoolTo(ctx, lines, 0, 10)
		client.leave("a client that writes to any replica")
		w.scale(ctx, 0)
		w.expectNoClaim(ctx, "data-spool-0")
		w.expectEnd(ctx, 0, drainv1alpha1.ReasonClaimsDeleted)
		w.expectStored(ctx, lines)

		By("looking at the drains' logs, which a sidecar has shipped that was ended only after the last container had")
		logs := w.objects(ctx, w.namespace+"/logs/")
		for _, pod := range w.recorder.drainPods() {
			Expect(logs).To(HaveKeyWithValue(w.namespace+"/logs/"+pod.Name+"/verify.log", ContainSubstring("0 differences found")))
		}

		By("scaling up again: a replica of the same name begins with nothing, and overwrites nothing")
		w.scale(ctx, 1)
		w.expectReplicas(ctx, 1)
		w.spoolTo(ctx, lines, 0, 20)
		w.scale(ctx, 0)
		w.expectNoClaim(ctx, "data-spool-0")
		w.expectCondition(ctx, "spool", drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonNoOrphans)
		w.expectStored(ctx, lines)
	})

	It("keeps the claim when the upload says that it succeeded and the verification says that it didn't", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.applySample(ctx, "spool", "spool")
		w.expectSample(ctx, 3)
		w.scaleStore(ctx, 1)
		lines := &ledger{lines: map[string]bool{}}
		w.spoolTo(ctx, lines, 2, 100)
		uid := w.claimUID(ctx, "data-spool-2")
		good := w.policy(ctx, "spool").Spec
		w.changePolicy(ctx, "spool", func(p *drainv1alpha1.DrainPolicy) {
			upload := &p.Spec.Template.Spec.InitContainers[2]
			Expect(upload.Name).To(Equal("upload"))
			// It exits 0 and has uploaded nothing.
			upload.Command, upload.Args = []string{"/rclone"}, []string{"--version"}
			p.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
			p.Spec.Job.BackoffLimit = new(int32(0))
		})

		w.scale(ctx, 2)
		w.expectDrain(ctx, 2, drainv1alpha1.DrainFailed, drainv1alpha1.ReasonJobFailed)
		seen("%s", w.expectMessage(ctx, 2, "Failed to checksum"))
		Expect(w.claimUID(ctx, "data-spool-2")).To(Equal(uid))

		By("fixing the policy")
		w.changePolicy(ctx, "spool", func(p *drainv1alpha1.DrainPolicy) { p.Spec = good })
		w.expectNoClaim(ctx, "data-spool-2")
		w.expectStored(ctx, lines)
	})
})
