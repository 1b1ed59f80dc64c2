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
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// keepsake is what a pet says about data that it has: its own, or adopted from one that left.
type keepsake struct {
	Pet     string `json:"pet"`
	Adopted bool   `json:"adopted"`
	SHA256  string `json:"sha256"`
	Data    []byte `json:"data"`
}

// greetings is everything that was ever posted and not overwritten by its own pet, each as "whose: text".
type greetings map[string]bool

// greet posts to a pet, which forgets what was posted to it before.
func (w *world) greet(ctx context.Context, all greetings, ordinal int32, text string) {
	GinkgoHelper()
	pet := fmt.Sprintf("kubia-%d", ordinal)
	answer, err := w.proxied(ctx, http.MethodPost, ordinal, nil, []byte(text))
	Expect(err).NotTo(HaveOccurred())
	Expect(string(answer)).To(Equal("Data stored on pod " + pet + "\n"))
	all[pet+": "+text] = true
}

// expectGreetings holds that the pets have exactly these between them, none lost, none changed, none twice, and each pet only its own as its own.
func (w *world) expectGreetings(ctx context.Context, want greetings, pets int32) {
	GinkgoHelper()
	By(fmt.Sprintf("counting %d greetings on %d pets", len(want), pets))
	got := greetings{}
	for ordinal := range pets {
		for _, k := range w.keepsakes(ctx, ordinal) {
			line := fmt.Sprintf("%s: %s", k.Pet, k.Data)
			Expect(got).NotTo(HaveKey(line), "what is there must be there once")
			Expect(k.SHA256).To(Equal(checksum(k.Data)))
			if !k.Adopted {
				Expect(k.Pet).To(Equal(fmt.Sprintf("kubia-%d", ordinal)))
			}
			got[line] = true
		}
	}
	Expect(got).To(Equal(want))
}

func (w *world) keepsakes(ctx context.Context, ordinal int32) []keepsake {
	GinkgoHelper()
	answer, err := w.proxied(ctx, http.MethodGet, ordinal, []string{"pets"}, nil)
	Expect(err).NotTo(HaveOccurred())
	var list []keepsake
	Expect(json.Unmarshal(answer, &list)).To(Succeed())
	return list
}

// anyPet asks whichever pet the Service for clients chooses.
func (w *world) anyPet(ctx context.Context) (string, error) {
	answer, err := clientset.CoreV1().RESTClient().Get().Namespace(w.namespace).Resource("services").
		Name("kubia-public:http").SubResource("proxy").Suffix("/").DoRaw(ctx)
	return string(answer), err
}

// visitPets lets one client ask any pet all along, and another one look for a text among what the pets show.
func (w *world) visitPets(ctx context.Context, text string) func() {
	anyPet := visit(ctx, func(ctx context.Context) error {
		_, err := w.anyPet(ctx)
		return err
	})
	reader := visit(ctx, func(ctx context.Context) error {
		answer, err := w.anyPet(ctx)
		if err == nil && !strings.Contains(answer, text) {
			err = fmt.Errorf("the answer lacks %q", text)
		}
		return err
	})
	return func() {
		GinkgoHelper()
		anyPet.leave("a client that asks any pet")
		reader.leave("a client that looks for the data of the one that leaves")
	}
}

var _ = Describe("The recipe kubia", Label("recipes"), func() {
	It("hands the data of a pet that leaves to one that lives", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.applySample(ctx, "kubia", "kubia")
		w.expectSample(ctx, 3)
		posted := greetings{}
		for ordinal := range int32(3) {
			w.greet(ctx, posted, ordinal, fmt.Sprintf("Hey there! This greeting was submitted to kubia-%d.", ordinal))
		}
		w.expectGreetings(ctx, posted, 3)
		Eventually(ctx, w.anyPet).Should(SatisfyAll(HavePrefix("You've hit kubia-"), ContainSubstring("- kubia-2: Hey there! This greeting was submitted to kubia-2.\n")),
			"the pet that is hit must find its peers by their SRV records")
		leave := w.visitPets(ctx, "submitted to kubia-2.")

		w.scale(ctx, 2)
		w.expectNoClaim(ctx, "data-kubia-2")
		entry := w.expectEnd(ctx, 2, drainv1alpha1.ReasonClaimsDeleted)
		Expect(entry.Message).To(MatchRegexp(`^kubia-2 adopted by kubia-[01]$`), "the drain's own words")
		w.expectGreetings(ctx, posted, 2)

		By("posting to the pets that live: each overwrites its own, and only that")
		for ordinal := range int32(2) {
			delete(posted, fmt.Sprintf("kubia-%d: Hey there! This greeting was submitted to kubia-%d.", ordinal, ordinal))
			w.greet(ctx, posted, ordinal, fmt.Sprintf("Still here, kubia-%d?", ordinal))
		}
		w.expectGreetings(ctx, posted, 2)

		w.scale(ctx, 1)
		w.expectNoClaim(ctx, "data-kubia-1")
		w.expectEnd(ctx, 1, drainv1alpha1.ReasonClaimsDeleted)
		leave()
		w.expectGreetings(ctx, posted, 1)

		By("bringing a pet back, which knows nothing, and letting it leave once more")
		w.scale(ctx, 2)
		w.expectReplicas(ctx, 2)
		Expect(w.keepsakes(ctx, 1)).To(BeEmpty())
		w.greet(ctx, posted, 1, "Welcome back.")
		w.scale(ctx, 1)
		w.expectNoClaim(ctx, "data-kubia-1")
		w.expectCondition(ctx, "kubia", drainv1alpha1.ConditionDrained, "True "+drainv1alpha1.ReasonNoOrphans)
		w.expectGreetings(ctx, posted, 1)
		seen("%d greetings posted and not overwritten by their own pet, %d there", len(posted), len(w.keepsakes(ctx, 0)))
	})

	It("doesn't take a volume on which no pet has ever started for one that is empty", SpecTimeout(specTimeout), func(ctx SpecContext) {
		w.applySample(ctx, "kubia", "kubia")
		w.expectSample(ctx, 3)
		w.changePolicy(ctx, "kubia", func(p *drainv1alpha1.DrainPolicy) { p.Spec.Job.BackoffLimit = new(int32(0)) })
		By("making a claim as the StatefulSet controller would, for a pet that never starts")
		var like corev1.PersistentVolumeClaim
		Expect(cluster.Get(ctx, w.key("data-kubia-2"), &like)).To(Succeed())
		Expect(cluster.Create(ctx, &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Name: "data-kubia-3", Namespace: w.namespace, Labels: like.Labels},
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: like.Spec.AccessModes, Resources: like.Spec.Resources, StorageClassName: like.Spec.StorageClassName,
			},
		})).To(Succeed())
		uid := w.claimUID(ctx, "data-kubia-3")
		By("giving it a volume: a pod whose program doesn't exist is scheduled, and never runs")
		var pet corev1.Pod
		Expect(cluster.Get(ctx, w.key("kubia-2"), &pet)).To(Succeed())
		binder := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "binder", Namespace: w.namespace}, Spec: *pet.Spec.DeepCopy()}
		binder.Spec.NodeName, binder.Spec.Hostname, binder.Spec.Subdomain = "", "", ""
		container := &binder.Spec.Containers[0]
		container.Command, container.ReadinessProbe, container.LivenessProbe, container.StartupProbe = []string{"/there-is-none"}, nil, nil, nil
		for i := range binder.Spec.Volumes {
			if source := binder.Spec.Volumes[i].PersistentVolumeClaim; source != nil {
				source.ClaimName = "data-kubia-3"
			}
		}
		Expect(cluster.Create(ctx, binder)).To(Succeed())
		Eventually(func() corev1.PersistentVolumeClaimPhase {
			var claim corev1.PersistentVolumeClaim
			Expect(cluster.Get(ctx, w.key("data-kubia-3"), &claim)).To(Succeed())
			return claim.Status.Phase
		}).Should(Equal(corev1.ClaimBound))
		Expect(cluster.Delete(ctx, binder)).To(Succeed())
		w.expectDrain(ctx, 3, drainv1alpha1.DrainFailed, drainv1alpha1.ReasonJobFailed)
		seen("%s", w.expectMessage(ctx, 3, "there is no /var/data/.drain-owner", "delete the claim"))
		Expect(w.claimUID(ctx, "data-kubia-3")).To(Equal(uid), "the claim must still be there")
	})

	// Serial, because PersistentVolumes have no namespace.
	It("drains volumes made by hand, which are given back by hand", Serial, SpecTimeout(specTimeout), func(ctx SpecContext) {
		node := prepareDisks(ctx, "/mnt/kubia-a", "/mnt/kubia-b", "/mnt/kubia-c")
		DeferCleanup(func(ctx SpecContext) {
			w.kubectl(ctx, "delete", "statefulset/kubia", "drainpolicy/kubia")
			w.kubectl(ctx, "delete", "pvc", "--selector=app=kubia")
			w.kubectl(ctx, "delete", "pv", "--selector=app=kubia")
		}, NodeTimeout(time.Minute))
		w.applySample(ctx, "kubia-persistentvolumes", "kubia")
		w.expectSample(ctx, 3)
		posted := greetings{}
		for ordinal := range int32(3) {
			w.greet(ctx, posted, ordinal, fmt.Sprintf("On a volume made by hand for kubia-%d.", ordinal))
		}
		var bound corev1.PersistentVolumeClaim
		Expect(cluster.Get(ctx, w.key("data-kubia-2"), &bound)).To(Succeed())
		Expect(bound.Spec.VolumeName).To(HavePrefix("kubia-"))
		phase := func() (corev1.PersistentVolumePhase, error) {
			var pv corev1.PersistentVolume
			err := cluster.Get(ctx, client.ObjectKey{Name: bound.Spec.VolumeName}, &pv)
			return pv.Status.Phase, err
		}

		w.scale(ctx, 2)
		w.expectNoClaim(ctx, "data-kubia-2")
		w.expectEnd(ctx, 2, drainv1alpha1.ReasonClaimsDeleted)
		Expect(w.onlyDrainPod().Spec.NodeName).To(Equal(node), "the drain must go where the volume is")
		w.expectGreetings(ctx, posted, 2)
		Eventually(ctx, phase).Should(Equal(corev1.VolumeReleased))

		By("scaling up: the new claim waits for a volume until a person gives one back")
		w.scale(ctx, 3)
		Eventually(ctx, func(g Gomega) {
			var claim corev1.PersistentVolumeClaim
			g.Expect(cluster.Get(ctx, w.key("data-kubia-2"), &claim)).To(Succeed())
			g.Expect(claim.Status.Phase).To(Equal(corev1.ClaimPending))
			g.Expect(w.events(ctx, g, "PersistentVolumeClaim", claim.Name, "FailedBinding")).To(BeNumerically(">", 0))
		}).Should(Succeed())
		Expect(phase()).To(Equal(corev1.VolumeReleased))
		w.kubectl(ctx, "patch", "persistentvolume", bound.Spec.VolumeName, "--type=json", `--patch=[{"op":"remove","path":"/spec/claimRef"}]`)
		w.expectReplicas(ctx, 3)
		Expect(w.keepsakes(ctx, 2)).To(BeEmpty(), "the drain has left nothing on the volume")
		w.greet(ctx, posted, 2, "On the same volume, after a restart.")
		w.expectGreetings(ctx, posted, 3)
	})
})

// prepareDisks does what an administrator does before volumes can be made by hand: it makes empty folders on one node and labels the node. It gives
// the node's name, and removes everything when the test has ended.
func prepareDisks(ctx context.Context, folders ...string) string {
	GinkgoHelper()
	var nodes corev1.NodeList
	Expect(cluster.List(ctx, &nodes)).To(Succeed())
	name := nodes.Items[len(nodes.Items)-1].Name
	// Pods of the test's own namespace may not reach into their node.
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-disks-", Labels: map[string]string{namespaceLabel: ""}}}
	Expect(cluster.Create(ctx, ns)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		disks(ctx, ns.Name, name, append([]string{"disk", "--remove"}, folders...)...)
		changeNode(ctx, name, func(n *corev1.Node) { delete(n.Labels, disksLabel) })
		Expect(cluster.Delete(ctx, ns)).To(Succeed())
	}, NodeTimeout(time.Minute))
	disks(ctx, ns.Name, name, append([]string{"disk"}, folders...)...)
	changeNode(ctx, name, func(n *corev1.Node) { n.Labels[disksLabel] = "" })
	return name
}

// disksLabel is the one that the sample's volumes ask for.
const disksLabel = "kubia.example.com/disks"

// disks runs a command of kubia's image as root in a node's own /mnt.
func disks(ctx context.Context, namespace, node string, args ...string) {
	GinkgoHelper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "disks-", Namespace: namespace},
		Spec: corev1.PodSpec{
			NodeName:      node,
			RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{
				Name: "disks", Image: "localhost/kubia:dev", Args: args,
				SecurityContext: &corev1.SecurityContext{RunAsUser: new(int64(0))},
				VolumeMounts:    []corev1.VolumeMount{{Name: "mnt", MountPath: "/mnt"}},
			}},
			Volumes: []corev1.Volume{{Name: "mnt", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/mnt"}}}},
		},
	}
	Eventually(ctx, func() error { return cluster.Create(ctx, pod) }).Should(Succeed(), "a new namespace has no ServiceAccount yet")
	Eventually(ctx, func(g Gomega) {
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		g.Expect(pod.Status.Phase).To(Equal(corev1.PodSucceeded), "kubia %q on node %s", args, node)
	}).Should(Succeed())
}

var _ = Describe("The recipe kubia, at a fault", Label("faults"), Serial, func() {
	It("waits for the pet of a dead node until a person says that the node is dead", SpecTimeout(faultTimeout), func(ctx SpecContext) {
		l := newLab(ctx)
		l.placing(ctx, l.steady, func() {
			w.applySample(ctx, "kubia", "kubia")
			w.expectSample(ctx, 3)
		})
		l.placing(ctx, l.shaky, func() {
			w.kubectl(ctx, "delete", "pod", "kubia-2")
			w.expectReplicas(ctx, 3)
		})
		posted := greetings{}
		for ordinal := range int32(3) {
			w.greet(ctx, posted, ordinal, fmt.Sprintf("Hey there! This greeting was submitted to kubia-%d.", ordinal))
		}
		w.expectGreetings(ctx, posted, 3)
		leave := w.visitPets(ctx, "submitted to kubia-2.")

		l.powerOff(ctx, l.shaky)
		w.scale(ctx, 2)
		w.expectDrain(ctx, 2, drainv1alpha1.DrainWaiting, drainv1alpha1.ReasonPodStillExists)
		said := w.expectMessage(ctx, 2, `"`+l.shaky+`"`, "kubectl taint node "+l.shaky+" node.kubernetes.io/out-of-service=nodeshutdown:NoExecute")
		seen("%s", said)
		w.expectNothingStarted()

		l.outOfService(ctx, l.shaky)
		w.expectNoClaim(ctx, "data-kubia-2")
		w.expectEnd(ctx, 2, drainv1alpha1.ReasonClaimsDeleted)
		leave()
		w.expectGreetings(ctx, posted, 2)
		l.heal(ctx, l.shaky)
		l.inService(ctx, l.shaky)
	})
})
