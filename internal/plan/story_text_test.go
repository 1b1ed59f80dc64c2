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

package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
	"github.com/statefulset-dev/drain-operator/internal/claims"
)

// The columns of a story, in characters.
const (
	widthOfActor   = 23
	widthOfEvent   = 46
	widthOfOrdinal = 8
	widthOfName    = 24
	widthOfJobs    = 25
	widthOfClaims  = 24
)

// teller writes the lines of a story, and holds it against the promises after each.
type teller struct {
	*story

	text strings.Builder
	// told counts the lines, and last is the text of the latest.
	told int
	last string
	// waitsFor is what the operator waited for when a line last said so.
	waitsFor string
	// shown are the columns of each ordinal as a line last showed them, and conditions those of each policy.
	shown      map[int32]string
	conditions map[types.UID]string
	// states are those that a policy was ever in, as test/health reads them.
	states map[string]bool
	// broken are the promises that did not hold, in words.
	broken []string
}

func (t *teller) head() {
	t.shown, t.conditions, t.states = map[int32]string{}, map[types.UID]string{}, map[string]bool{}
	name := "ordinal"
	if len(t.ordinals) == 1 {
		name = ordinalNamed(t.ordinals[0])
	}
	heads := []string{"who", "does what", "ordinal", "the pod " + name + " is", "Jobs and their pods", "claims"}
	rules := make([]string, len(heads))
	for i, width := range t.widths() {
		rules[i] = strings.Repeat("-", max(0, width-1))
	}
	t.line(heads...)
	t.line(rules...)
}

// widths are those of the columns. A story of one ordinal does not name it in each line.
func (t *teller) widths() []int {
	widths := []int{widthOfActor, widthOfEvent, widthOfOrdinal, widthOfName, widthOfJobs, widthOfClaims}
	if len(t.ordinals) == 1 {
		return append(slices.Clone(widths[:2]), append([]int{0}, widths[3:]...)...)
	}
	return widths
}

// line writes cells side by side, each in as many lines as it needs.
func (t *teller) line(cells ...string) {
	var wrappedCells [][]string
	rows := 1
	for i, width := range t.widths() {
		if i >= len(cells) || width == 0 {
			wrappedCells = append(wrappedCells, nil)
			continue
		}
		lines := wrap(cells[i], width-1)
		wrappedCells = append(wrappedCells, lines)
		rows = max(rows, len(lines))
	}
	for row := range rows {
		var line strings.Builder
		for i, width := range t.widths() {
			cell := ""
			if row < len(wrappedCells[i]) {
				cell = wrappedCells[i][row]
			}
			if utf8.RuneCountInString(cell) >= max(width, 1) {
				t.breaks("a column is too narrow for %q", cell)
			}
			fmt.Fprintf(&line, "%-*s", width, cell)
		}
		t.write(line.String())
	}
}

// widest is the longest line that a story may have, in characters.
const widest = 150

func (t *teller) write(line string) {
	line = strings.TrimRight(line, " ")
	t.require(utf8.RuneCountInString(line) <= widest, "a line is too long: %s", line)
	t.text.WriteString(line + "\n")
}

// wrap returns a text in lines of at most so many characters; those after the first are indented.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = "  " + word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// tell writes the line of an action that was just taken, and what the cluster holds after it.
func (t *teller) tell(actor, format string, args ...any) {
	t.last = actor + " " + fmt.Sprintf(format, args...)
	t.told++
	t.reportReady()
	who, event := actor, fmt.Sprintf(format, args...)
	for _, ordinal := range t.ordinals {
		state := t.stateOf(ordinal)
		seen := strings.Join(state, "|")
		if len(t.ordinals) > 1 && seen == t.shown[ordinal] {
			continue
		}
		t.shown[ordinal] = seen
		t.line(append([]string{who, event, fmt.Sprint(ordinal)}, state...)...)
		who, event = "", ""
	}
	if event != "" {
		t.line(who, event)
	}
	if actor == byOperator || actor == bySecond {
		t.tellConditions()
	}
	t.check()
	t.now = t.now.Add(time.Second)
}

// tellConditions writes the conditions that have changed.
func (t *teller) tellConditions() {
	for _, policy := range t.policies {
		var changed, state []string
		if policy.DeletionTimestamp != nil {
			state = append(state, "deleting")
		}
		for _, condition := range policy.Status.Conditions {
			state = append(state, fmt.Sprintf("%s=%s/%s", condition.Type, condition.Status, condition.Reason))
			key, value := types.UID(string(policy.UID)+condition.Type), string(condition.Status)+", "+condition.Reason
			if t.conditions[key] != value {
				changed = append(changed, condition.Type+": "+value)
			}
			t.conditions[key] = value
		}
		if len(policy.Status.Conditions) == 3 {
			t.states[strings.Join(state, " ")] = true
		}
		if len(changed) == 0 {
			continue
		}
		name := ""
		if len(t.policies) > 1 {
			name = "policy " + policy.Name + ": "
		}
		t.write(strings.Repeat(" ", widthOfActor) + "> " + name + strings.Join(changed, "; "))
	}
}

// stateOf returns what the cluster holds of an ordinal.
func (t *teller) stateOf(ordinal int32) []string {
	return []string{t.nameWord(ordinal), t.jobsWord(ordinal), t.claimsWord(ordinal)}
}

// nameWord says which pod has the name of the ordinal's own.
func (t *teller) nameWord(ordinal int32) string {
	pod := t.podNamed(ordinalNamed(ordinal))
	if pod == nil {
		return "absent"
	}
	word := "running"
	switch {
	case lockRole(pod):
		word = "lock"
	case pod.Status.Phase == corev1.PodPending:
		word = "pending"
	}
	if pod.DeletionTimestamp != nil {
		word += ", going"
	}
	return word + t.noteWord(pod)
}

// noteWord says what a lock remembers, the latest of it.
func (t *teller) noteWord(lock *corev1.Pod) string {
	attempt, _ := attemptUnder(lock)
	switch job := types.UID(lock.Annotations[drainv1alpha1.JobAnnotation]); {
	case lock.Annotations[drainv1alpha1.DeletingAnnotation] != "":
		return " (deletion)"
	case attempt.Failed != nil:
		return fmt.Sprintf(" (attempt %d failed)", attempt.Number)
	case job != "":
		return " (" + numbered(job) + ")"
	case attempt.Number > 0:
		return fmt.Sprintf(" (attempt %d)", attempt.Number)
	}
	return ""
}

// jobsWord names the Jobs of an ordinal, and how their pods are. Those that are over and not the latest are counted.
func (t *teller) jobsWord(ordinal int32) string {
	var words []string
	past, latest := 0, ""
	known := map[types.UID]bool{}
	for _, job := range t.jobs {
		known[job.UID] = true
		if number, _ := ordinalOf(job.Labels); number != ordinal {
			continue
		}
		if latest != "" {
			past++
			latest = ""
		}
		word := t.jobWord(job) + " " + t.jobState(job)
		if finished(job) != nil && job.DeletionTimestamp == nil {
			latest = word
		} else {
			words = append(words, word)
		}
	}
	if latest != "" {
		words = append(words, latest)
	}
	for _, pod := range t.pods {
		if number, _ := ordinalOf(pod.Labels); isDrain(pod) && number == ordinal && !known[ownerUID(pod)] {
			words = append(words, "pod without Job "+stateOfPod(pod))
		}
	}
	if past > 0 {
		words = append(words, fmt.Sprintf("%d past", past))
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, "; ")
}

func (t *teller) jobState(job *batchv1.Job) string {
	words := "without pod"
	if end := finished(job); end != nil {
		words = string(end.Type)
	}
	for _, pod := range t.pods {
		if ownerUID(pod) == job.UID && (finished(job) == nil || !terminal(pod)) {
			words = stateOfPod(pod)
		}
	}
	if ptr.Deref(job.Spec.Suspend, false) {
		words = "suspended"
	}
	if job.DeletionTimestamp != nil {
		words += ", going"
	}
	return words
}

func stateOfPod(pod *corev1.Pod) string {
	word := strings.ToLower(string(pod.Status.Phase))
	switch {
	case awaitsLock(pod):
		word = "gated"
	case pod.Status.Phase == corev1.PodPending:
		word = "ungated"
	}
	if pod.DeletionTimestamp != nil {
		word += " and ending"
	}
	return word
}

// jobWord names a Job by the order of its creation.
func (t *teller) jobWord(job *batchv1.Job) string { return numbered(job.UID) }

func numbered(job types.UID) string { return strings.ReplaceAll(string(job), "-", " ") }

func (t *teller) podWord(pod *corev1.Pod) string {
	owner := metav1.GetControllerOf(pod)
	switch {
	case isDrain(pod) && owner != nil:
		return "the pod of " + numbered(owner.UID)
	case isDrain(pod):
		return "the drain pod"
	case lockRole(pod):
		return "lock " + pod.Name
	}
	return "pod " + pod.Name
}

// claimsWord says how the claims of an ordinal are marked; those that are alike together.
func (t *teller) claimsWord(ordinal int32) string {
	var words, each []string
	for _, claim := range t.claims {
		base, number, _ := claims.Parse(claim.Name)
		if number != ordinal {
			continue
		}
		word := t.claimWord(claim, ordinal)
		words, each = append(words, word), append(each, strings.TrimSuffix(base, "-web")+" "+word)
	}
	if len(words) == 0 {
		return "gone"
	}
	if len(words) == len(t.templatesOfSet()) && len(slices.Compact(words)) == 1 {
		return words[0]
	}
	return strings.Join(each, ", ")
}

func (t *teller) claimWord(claim *corev1.PersistentVolumeClaim, ordinal int32) string {
	word := "unmarked"
	lock := t.podNamed(ordinalNamed(ordinal))
	if mark := claims.ParseMark(claim); mark != nil {
		switch {
		case lock != nil && mark.HoldsUnder(lock.UID):
			word = "marked"
			if last, _ := attemptUnder(lock); mark.Attempts < last.Number || mark.Attempts == last.Number && last.Failed != nil {
				word = "refuted"
			}
		case mark.LockUID != "":
			word = "marked once"
		case mark.Generation == 0 && !mark.Absent:
			word = "void"
		case mark.Absent:
			word = "kept"
		default:
			word = fmt.Sprintf("kept at %d", mark.Generation)
		}
		if word != "void" && claims.ReadMark(claim) == nil {
			word += ", used since"
		}
	}
	if claim.Annotations[drainv1alpha1.SkipAnnotation] != "" {
		word += ", skipped"
	}
	if claim.DeletionTimestamp != nil {
		word += ", going"
	}
	if debug := t.podNamed("debug"); debug != nil && uses(debug, claim.Name) {
		word += ", used"
	}
	return word
}

// Words for what the operator does.

// decision names the rule and the step of a decision.
func (t *teller) decision(d *decided) string {
	number := ""
	if len(t.ordinals) > 1 && d.of == "" {
		number = fmt.Sprintf("%d ", d.Ordinal)
	}
	return number + d.Rule + ": " + t.stepWord(d.Next)
}

func (t *teller) stepWord(step Step) string {
	word := StepName(step)
	short := func(claim string) string {
		base, _, _ := claims.Parse(claim)
		return " " + strings.TrimSuffix(base, "-web")
	}
	switch step := step.(type) {
	case WriteMark:
		word += short(step.Claim.Name)
	case DeleteClaim:
		word += short(step.Claim.Name)
	case DeleteJob:
		word += " " + t.jobWord(step.Job)
	case StartJob:
		if step.Attempt > 1 {
			word += fmt.Sprintf(", attempt %d", step.Attempt)
		}
	}
	return word
}

// waiting says by which rules the operator waits.
func (t *teller) waiting(waits []Drain) string {
	if len(waits) == 0 {
		return "has nothing to do"
	}
	var words []string
	for i := range waits {
		word := waits[i].Rule
		if len(t.ordinals) > 1 {
			word = fmt.Sprintf("%d %s", waits[i].Ordinal, word)
		}
		if waits[i].RetryAfter > 0 && len(waits) == 1 {
			word += fmt.Sprintf(", looks again after %s", waits[i].RetryAfter.Round(time.Second))
		}
		words = append(words, word)
	}
	verb := "rests: "
	if slices.ContainsFunc(waits, func(d Drain) bool { return d.State == "" || d.pending() }) {
		verb = "waits: "
	}
	return verb + strings.Join(words, "; ")
}

// The promises, after each line.

func (t *teller) breaks(format string, args ...any) {
	t.broken = append(t.broken, fmt.Sprintf("line %d (%s): ", t.told, t.last)+fmt.Sprintf(format, args...))
}

func (t *teller) require(kept bool, format string, args ...any) {
	if !kept {
		t.breaks(format, args...)
	}
}

// check holds the cluster and the conditions against the promises.
func (t *teller) check() {
	for _, pod := range t.pods {
		if isDrain(pod) || lockRole(pod) || terminal(pod) || pod.Status.Phase != corev1.PodRunning {
			continue
		}
		for _, claim := range t.claims {
			if uses(pod, claim.Name) {
				t.dirty[claim.UID] = true
			}
		}
	}
	for _, ordinal := range t.ordinals {
		t.checkWriters(ordinal)
	}
	for _, policy := range t.policies {
		t.checkConditions(policy)
	}
}

// checkWriters asks who may write to the claims of an ordinal.
func (t *teller) checkWriters(ordinal int32) {
	name := t.podNamed(ordinalNamed(ordinal))
	ungated := 0
	for _, pod := range t.pods {
		if number, ok := ordinalOf(pod.Labels); !ok || number != ordinal {
			continue
		}
		if lockRole(pod) {
			held := slices.ContainsFunc(t.policies, func(policy *drainv1alpha1.DrainPolicy) bool {
				return policy.UID == ownerUID(pod) && slices.Contains(policy.Finalizers, drainv1alpha1.PolicyFinalizer)
			})
			gone := !slices.ContainsFunc(t.policies,
				func(policy *drainv1alpha1.DrainPolicy) bool { return policy.UID == ownerUID(pod) })
			t.require(held || gone, "lock %s stands, and its policy has no finalizer", pod.Name)
		}
		if !isDrain(pod) || terminal(pod) || awaitsLock(pod) {
			continue
		}
		ungated++
		t.require(name == nil || lockRole(name), "two writers: a drain pod of ordinal %d runs beside pod %s",
			ordinal, ordinalNamed(ordinal))
		if job := t.jobByUID(ownerUID(pod)); job != nil && !t.forced[ordinal] {
			t.require(name != nil && string(name.UID) == job.Annotations[drainv1alpha1.LockAnnotation],
				"a drain pod of ordinal %d runs without its lock", ordinal)
		}
	}
	t.require(ungated <= 1, "two drain pods of ordinal %d run", ordinal)
}

// readyReasons are the reasons for which a policy is not ready.
var readyReasons = []string{
	drainv1alpha1.ReasonPolicyDeleted, drainv1alpha1.ReasonManagedPolicyYielding,
	drainv1alpha1.ReasonPolicyConflict, drainv1alpha1.ReasonStatefulSetNotFound,
	drainv1alpha1.ReasonNoClaimTemplates, drainv1alpha1.ReasonTooManyClaimTemplates,
	drainv1alpha1.ReasonGracePeriodZero, drainv1alpha1.ReasonNoMatchLabels, drainv1alpha1.ReasonClaimsDeletedOnScaleDown,
	drainv1alpha1.ReasonClaimsDeletedWithStatefulSet, drainv1alpha1.ReasonInvalidTemplate,
	drainv1alpha1.ReasonPreflightFailed, drainv1alpha1.ReasonAmbiguousClaims, drainv1alpha1.ReasonSuspended,
}

// checkConditions holds the status that the operator would write now, and the one that it wrote, against each other and
// against themselves.
func (t *teller) checkConditions(policy *drainv1alpha1.DrainPolicy) {
	plan := t.protocol.Make(t.look(policy), t.now)
	t.checkStatus(plan.Status(policy, metav1.NewTime(t.now)), policy.Generation)
	if policy.Status.Conditions != nil {
		t.checkStatus(policy.Status, policy.Status.ObservedGeneration)
	}
}

func (t *teller) checkStatus(status drainv1alpha1.DrainPolicyStatus, generation int64) {
	byType := map[string]metav1.Condition{}
	for _, condition := range status.Conditions {
		byType[condition.Type] = condition
	}
	for _, kind := range []string{drainv1alpha1.ConditionReady,
		drainv1alpha1.ConditionDrained, drainv1alpha1.ConditionStalled} {
		condition := byType[kind]
		t.require(condition.Status != "" && condition.Reason != "" && condition.Message != "",
			"condition %s lacks status, reason or message: %+v", kind, condition)
		t.require(condition.ObservedGeneration == generation,
			"condition %s is of generation %d, and the policy's is %d", kind, condition.ObservedGeneration, generation)
	}
	t.require(status.ObservedGeneration == generation,
		"the status is of generation %d, and the policy's is %d", status.ObservedGeneration, generation)
	if byType[drainv1alpha1.ConditionDrained].Status == metav1.ConditionTrue {
		for i := range status.Drains {
			state := status.Drains[i].State
			ends := state == drainv1alpha1.DrainDrained || state == drainv1alpha1.DrainRetained
			t.require(ends, "Drained is True, and ordinal %d is %s", *status.Drains[i].Ordinal, state)
		}
	}
	ready, stalled := byType[drainv1alpha1.ConditionReady], byType[drainv1alpha1.ConditionStalled]
	if stalled.Status == metav1.ConditionTrue && slices.Contains(readyReasons, stalled.Reason) {
		t.require(ready.Status != metav1.ConditionTrue, "Stalled is True for %s, and Ready is True", stalled.Reason)
	}
}
