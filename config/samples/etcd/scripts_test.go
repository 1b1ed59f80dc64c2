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

// Package etcd tests the scripts of this recipe, with stand-ins for the programs that they start. With real servers they run in test/e2e.
package etcd

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/stage"
)

const (
	// wal is the beginning of a write-ahead log of etcd 3.7.3: a checksum, and the IDs of a member and its cluster.
	wal = "040000000000008408041000000000001f00000000000081080110a4cd85fc0b1a1508eef9b680c8e185940610e387bcb2dbf2a5deba01000e00000000000082" +
		"080510dea8dae5081a0408001000000000"
	member, cluster = "628170c800dbcee", "babc9795b64f03e3"
	walFile         = "0000000000000000-0000000000000000.wal"
	// none is the list of members of a server without a majority.
	none = ""
)

// one is the JSON of a member of a list.
func one(id, pod, name string, learner bool) string {
	text := fmt.Sprintf(`{"ID":%q,"name":%q,"peerURLs":["http://%s.etcd:2380"],"clientURLs":["http://%s.etcd:2379"]`, id, name, pod, pod)
	if name == "" {
		text = fmt.Sprintf(`{"ID":%q,"peerURLs":["http://%s.etcd:2380"]`, id, pod)
	}
	if learner {
		text += `,"isLearner":true`
	}
	return text + "}"
}

// list is what etcdctl prints about the members of a cluster.
func list(cluster string, members ...string) string {
	return fmt.Sprintf(`{"header":{"cluster_id":%q,"member_id":"1","raft_term":2},"members":[%s]}`, cluster, strings.Join(members, ",")) + "\n"
}

var (
	staying = []string{one("1", "web-0", "web-0", false), one("2", "web-1", "web-1", false)}
	all     = append(staying[:2:2], one(member, "web-5", "web-5", false))
)

// newEtcd is a member that left, with its data on its volume, and two members that remain and have it in their list. A majority answers if
// state/members is not empty; state/known is what a single server knows. Removing a member writes state/after over state/members.
func newEtcd(t *testing.T) *stage.Stage {
	s := stage.New(t, map[string]string{"/var/lib/etcd": "volume", "/proc/sys/kernel/random/uuid": "state/uuid", "/etc/resolv.conf": "state/resolv.conf"},
		map[string]string{
			"etcdctl": `
echo "$*" >>$state/asked
case "$*" in
*--consistency?s*) cat $state/known ;;
*member?list*) [[ -s $state/members ]] && cat $state/members ;;
*member?remove*) [[ ! -e $state/refuses ]] || { cat $state/refuses >&2; exit 1; }; cp $state/after $state/members; echo "Member removed" ;;
*member?promote*) cp $state/all $state/members; echo "Member promoted" ;;
*member?add*) cp $state/added $state/members; echo "Member added" ;;
*endpoint?status*) cat $state/status ;;
*move-leader*) cp $state/moved $state/status ;;
esac`,
			"etcd":     `echo "$*" >$state/started; [[ ! -e $state/back ]] || cp $state/back $state/members; exec sleep 60`,
			"wget":     `[[ "$*" == *web-5* || "$*" == *web-0* ]]`,
			"nslookup": `[[ ! -e $state/no-dns ]] && printf 'Server:\t10.0.0.10\nAddress:\t10.0.0.10:53\n\nName:\tetcd.ns.svc.cluster.local\nAddress: 127.1.0.1\n'`,
			"sync":     ``,
		})
	s.Env = append(s.Env, "DRAIN_PEERS=web-0.etcd.ns.svc,web-1.etcd.ns.svc")
	s.Write("state/members", list(cluster, all...))
	s.Write("state/known", list(cluster, all...))
	s.Write("state/after", list(cluster, staying...))
	s.Write("state/uuid", "a-uuid\n")
	s.Write("state/resolv.conf", "search ns.svc.cluster.local\n")
	s.Write("volume/.drain-owner", "web-5\n")
	fillVolume(t, s)
	return s
}

func fillVolume(t *testing.T, s *stage.Stage) {
	t.Helper()
	log, err := hex.DecodeString(wal)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(s.Path("volume/data/member/wal"), 0o750); err != nil {
		t.Fatal(err)
	}
	s.Write("volume/data/member/wal/"+walFile, string(log))
}

func emptyVolume(t *testing.T, s *stage.Stage) {
	t.Helper()
	if err := os.RemoveAll(s.Path("volume/data")); err != nil {
		t.Fatal(err)
	}
}

func expectAsked(t *testing.T, s *stage.Stage, command string, want bool) {
	t.Helper()
	if got := strings.Contains(s.Read("state/asked"), command); got != want {
		t.Errorf("etcdctl %s: %t, want %t; asked:\n%s", command, got, want, s.Read("state/asked"))
	}
}

func TestMajorityRemovesTheMember(t *testing.T) {
	t.Parallel()
	s := newEtcd(t)
	s.Expect("drain.sh", "", 0, "removed the member "+member+", 2 members remain")
	expectAsked(t, s, "member remove "+member, true)
	s.ExpectNot("state/started", "a server was started, though there is a majority")
	s.Expect("drain.sh", "", 0, member+" is not a member, 2 members remain") // A second run finds what was done.
}

// A member that was added and never started has no name, and its volume is empty.
func TestMemberThatNeverStartedIsRemoved(t *testing.T) {
	t.Parallel()
	s := newEtcd(t)
	emptyVolume(t, s)
	s.Write("state/members", list(cluster, append(staying[:2:2], one("3", "web-5", "", true))...))
	s.Expect("drain.sh", "", 0, "removed the member web-5, 2 members remain")
	expectAsked(t, s, "member remove 3", true)
}

func TestWithoutAMajorityTheDrainServes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status, moved string
		wantMoved     bool
	}{
		"a member that leads hands over first":   {"\"MemberID\" : 7\n\"Leader\" : 7\n", "\"MemberID\" : 7\n\"Leader\" : 1\n", true},
		"a member that follows is only removed":  {"\"MemberID\" : 7\n\"Leader\" : 1\n", "", false},
		"a leader in the highest ID is the same": {"\"MemberID\" : 18446744073709551615\n\"Leader\" : 18446744073709551614\n", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newEtcd(t)
			s.Env = append(s.Env, "PATIENCE_SECONDS=20")
			s.Write("state/members", none)
			s.Write("state/back", list(cluster, all...))
			s.Write("state/status", test.status)
			s.Write("state/moved", test.moved)
			s.Expect("drain.sh", "", 0, "removed the member "+member+", 2 members remain")
			if got := s.Read("state/started"); !strings.Contains(got, "--name web-5 ") || strings.Contains(got, "--initial-cluster ") {
				t.Errorf("etcd was started with %q, want its own name and no new cluster", got)
			}
			expectAsked(t, s, "move-leader 1", test.wantMoved)
		})
	}
}

func TestDrainFailsInTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*testing.T, *stage.Stage)
		want   string
	}{
		"an empty folder":           {func(_ *testing.T, s *stage.Stage) { _ = os.Remove(s.Path("volume/.drain-owner")) }, "web-5 has never started on it"},
		"the volume of another Pod": {func(_ *testing.T, s *stage.Stage) { s.Write("volume/.drain-owner", "web-4\n") }, "this is the volume of web-4"},
		"no member remains": {func(_ *testing.T, s *stage.Stage) { s.Env = append(s.Env, "DRAIN_PEERS=") },
			"no member remains: web is scaled to 0. The last member's data is the only copy, and is kept"},
		"another cluster": {func(_ *testing.T, s *stage.Stage) { s.Write("state/members", list("abc", all...)) },
			"http://web-0.etcd.ns.svc:2379 is a member of the cluster abc, and this volume has data of the cluster " + cluster},
		"a volume that is empty although the member had started": {func(t *testing.T, s *stage.Stage) { emptyVolume(t, s) },
			"the cluster has web-5 as the member " + member + ", and this volume has no data"},
		"a volume with the data of another member": {func(_ *testing.T, s *stage.Stage) {
			s.Write("state/members", list(cluster, append(staying[:2:2], one("3", "web-5", "web-5", false))...))
		}, "the cluster has web-5 as the member 3, and this volume has " + member},
		"a log that can't be read": {func(_ *testing.T, s *stage.Stage) {
			s.Write("volume/data/member/wal/"+walFile, strings.Repeat("\x00", 96))
		}, "the write-ahead log on this volume can't be read"},
		"members that refuse": {func(_ *testing.T, s *stage.Stage) { s.Write("state/refuses", "Error: etcdserver: unhealthy cluster\n") },
			"web-5 is still a member after 1 s: etcd said last: Error: etcdserver: unhealthy cluster"},
		"a majority that doesn't come back": {func(_ *testing.T, s *stage.Stage) {
			s.Write("state/members", none)
			// In the order of the IDs, which are random.
			s.Write("state/known", list(cluster, append([]string{all[2], all[0], all[1]}, one("4", "web-2", "web-2", false), one("5", "web-4", "web-4", false))...))
		}, "there is no majority: of 5 members, these run: web-0 web-5; and 3 must. Nothing is lost, as the claims are kept until they are drained. " +
			"Bring members back: kubectl scale statefulset/web --replicas=3, then scale down one by one"},
		"members that don't answer": {func(_ *testing.T, s *stage.Stage) {
			s.Write("state/members", none)
			s.Write("state/known", none)
		}, "none of the members that remain answers (web-0.etcd.ns.svc web-1.etcd.ns.svc). Look why their Pods don't run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newEtcd(t)
			test.change(t, s)
			s.Expect("drain.sh", "", 1, test.want)
			expectAsked(t, s, "member remove", strings.Contains(test.want, "still a member"))
		})
	}
}

func TestDrainStopsAtOnce(t *testing.T) {
	t.Parallel()
	s := newEtcd(t)
	s.Env = append(s.Env, "PATIENCE_SECONDS=600")
	s.Write("state/members", none)
	s.Expect("drain.sh", "state/started", 143, "told to stop before it was done")
}

// newMember is a member whose server runs, or not if state/down is there. What it says by itself is in state/own. Its Job has no claim.
func newMember(t *testing.T, action string) *stage.Stage {
	s := newEtcd(t)
	s.Env = append(s.Env, "DRAIN_ACTION="+action)
	if err := os.RemoveAll(s.Path("volume")); err != nil {
		t.Fatal(err)
	}
	s.Program("bin/wget", "#!/bin/sh\n[ ! -e "+s.Path("state/down")+" ]\n")
	s.Program("bin/etcdctl-of-others", s.Read("bin/etcdctl"))
	s.Program("bin/etcdctl", fmt.Sprintf(`#!/usr/bin/env bash
case "$*" in
*//web-5.etcd:2379*member?list*) [[ -e %[1]s/own ]] && cat %[1]s/own ;;
*//web-5.etcd:2379*endpoint?status*) [[ -e %[1]s/own ]] && cat %[1]s/status ;;
*) exec etcdctl-of-others "$@" ;;
esac
`, s.Path("state")))
	s.Write("state/own", list(cluster, all...))
	s.Write("state/status", "\"MemberID\" : 7\n\"Leader\" : 1\n")
	return s
}

// stop makes a member of which only its Pod is left.
func stop(t *testing.T, s *stage.Stage) {
	t.Helper()
	s.Write("state/down", "")
	if err := os.Remove(s.Path("state/own")); err != nil {
		t.Fatal(err)
	}
}

func TestMemberLeavesAlive(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*stage.Stage)
		// moved is whether it hands over the lead first.
		moved bool
	}{
		"that follows": {func(*stage.Stage) {}, false},
		"that leads": {func(s *stage.Stage) {
			s.Write("state/status", "\"MemberID\" : 7\n\"Leader\" : 7\n")
			s.Write("state/moved", "\"MemberID\" : 7\n\"Leader\" : 1\n")
		}, true},
		"whose server is down": {func(s *stage.Stage) { stop(t, s) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newMember(t, "leave")
			test.change(s)
			s.Expect("member.sh", "", 0, "removed web-5, 2 members remain")
			s.Expect("member.sh", "", 0, "web-5 is not a member, 2 members remain") // A second run finds what was done.
			asked := s.Read("state/asked")
			if got := strings.Count(asked, "member remove "+member); got != 1 {
				t.Errorf("the member was removed %d times", got)
			}
			if moved, removed := strings.Index(asked, "move-leader 1"), strings.Index(asked, "member remove"); moved >= 0 != test.moved || moved > removed {
				t.Errorf("it handed over: %t, want %t, and before it leaves; asked:\n%s", moved >= 0, test.moved, asked)
			}
		})
	}
}

func TestMemberLeavesInTimeOrFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*testing.T, *stage.Stage)
		want   string
	}{
		"the last member": {func(_ *testing.T, s *stage.Stage) { s.Env = append(s.Env, "DRAIN_PEERS=") }, "no member would remain beside web-5"},
		"members that refuse": {func(_ *testing.T, s *stage.Stage) { s.Write("state/refuses", "Error: etcdserver: unhealthy cluster\n") },
			"web-5 has not left after 1 s: etcd said last: Error: etcdserver: unhealthy cluster"},
		"members without a majority": {func(_ *testing.T, s *stage.Stage) { s.Write("state/members", none) },
			"web-5 has not left after 1 s: none of these answers with a majority: web-0.etcd.ns.svc web-1.etcd.ns.svc"},
		"another cluster": {func(_ *testing.T, s *stage.Stage) { s.Write("state/members", list("abc", all...)) },
			"http://web-0.etcd.ns.svc:2379 is a member of the cluster abc, and web-5 is one of the cluster " + cluster},
		"another cluster that doesn't know it": {func(_ *testing.T, s *stage.Stage) { s.Write("state/members", list("abc", staying...)) },
			"http://web-0.etcd.ns.svc:2379 is a member of the cluster abc, and web-5 is one of the cluster " + cluster},
		"a leader that no member replaces": {func(_ *testing.T, s *stage.Stage) {
			s.Write("state/status", "\"MemberID\" : 7\n\"Leader\" : 7\n")
			s.Write("state/moved", "\"MemberID\" : 7\n\"Leader\" : 7\n")
			s.Program("bin/etcdctl-of-others", strings.Replace(s.Read("bin/etcdctl-of-others"), "*move-leader*)", "*move-leader*) exit 1;", 1))
		}, "web-5 has not left after 1 s: it leads, and none of those that remain takes over"},
		"an action that is unknown": {func(_ *testing.T, s *stage.Stage) { s.Env = append(s.Env, "DRAIN_ACTION=dance") }, "there is no action dance"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newMember(t, "leave")
			test.change(t, s)
			s.Expect("member.sh", "", 1, test.want)
			expectAsked(t, s, "member remove", strings.Contains(test.want, "etcd said last"))
		})
	}
}

func TestMemberStopsAtOnce(t *testing.T) {
	t.Parallel()
	s := newMember(t, "leave")
	s.Env = append(s.Env, "PATIENCE_SECONDS=600")
	s.Write("state/members", none)
	s.Expect("member.sh", "state/asked", 143, "told to stop before it was done")
}

func TestMemberJoinsAgain(t *testing.T) {
	t.Parallel()
	s := newMember(t, "rejoin")
	s.Env = append(s.Env, "PATIENCE_SECONDS=20")
	s.Expect("member.sh", "", 0, "web-5 is the member "+member+", and serves") // One that has not left.
	expectAsked(t, s, "member add", false)

	// One that has left: when it is added, its server starts as another member, which is a voter a moment later.
	stop(t, s)
	s.Write("state/members", list(cluster, staying...))
	s.Write("state/added", list(cluster, append(staying[:2:2], one("abcd", "web-5", "", true))...))
	joined := list(cluster, append(staying[:2:2], one("abcd", "web-5", "web-5", false))...)
	s.Program("bin/sleep", fmt.Sprintf(`#!/bin/sh
if grep -q 'member add' %[1]s/asked && ! grep -q '"abcd","name"' %[1]s/members; then
	printf '%%s' '%[2]s' >%[1]s/members
	cp %[1]s/members %[1]s/own
fi
exec /bin/sleep "$@"
`, s.Path("state"), joined))
	for range 2 { // A second run finds what was done.
		s.Expect("member.sh", "", 0, "web-5 is the member abcd, and serves")
	}
	if got := strings.Count(s.Read("state/asked"), "member add web-5 --learner --peer-urls http://web-5.etcd:2380"); got != 1 {
		t.Errorf("the member was added %d times; asked:\n%s", got, s.Read("state/asked"))
	}
}

// The last member can't leave. The policy lets it join again all the same when one asks it to stay.
func TestLastMemberIsBack(t *testing.T) {
	t.Parallel()
	s := newMember(t, "rejoin")
	s.Env = append(s.Env, "DRAIN_PEERS=")
	s.Write("state/own", list(cluster, one(member, "web-5", "web-5", false)))
	s.Expect("member.sh", "", 0, "web-5 is the member "+member+", and serves")
}

func TestMemberJoinsInTimeOrFails(t *testing.T) {
	t.Parallel()
	unstarted := list(cluster, append(staying[:2:2], one("abcd", "web-5", "", true))...)
	for name, test := range map[string]struct {
		change func(*testing.T, *stage.Stage)
		want   string
		added  bool
	}{
		"a Pod without a server": {func(_ *testing.T, s *stage.Stage) {
			s.Write("state/members", list(cluster, staying...))
			s.Write("state/added", unstarted)
		}, "it is added, and its Pod has not started its server", true},
		"a learner that doesn't keep up": {func(_ *testing.T, s *stage.Stage) {
			s.Write("state/members", list(cluster, append(staying[:2:2], one("abcd", "web-5", "web-5", true))...))
		}, "it has not caught up", false},
		"another learner": {func(_ *testing.T, s *stage.Stage) {
			s.Write("state/members", list(cluster, append(staying[:2:2], one("4", "web-4", "", true))...))
		}, "another member is joining", false},
		"members without a majority":    {func(_ *testing.T, s *stage.Stage) { s.Write("state/members", none) }, "none of these answers with a majority", false},
		"a member whose server is down": {stop, "it is a member, and its server doesn't answer", false},
		"a server that is another member": {func(_ *testing.T, s *stage.Stage) {
			s.Write("state/own", list(cluster, append(staying[:2:2], one("abcd", "web-5", "web-5", false))...))
		}, "it is a member, and its server doesn't answer", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newMember(t, "rejoin")
			test.change(t, s)
			s.Expect("member.sh", "", 1, "web-5 doesn't serve as a member after 1 s: "+test.want)
			expectAsked(t, s, "member add", test.added)
		})
	}
}

// A member that left ends, and its container starts again while its Pod runs.
func TestMemberThatLeftStaysOut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		// noted is the UID of the Pod in which the server was a member.
		noted string
		// data is whether the data is still there. It is set aside when the member is added again.
		data bool
		want bool
	}{
		"in the Pod that it left in":          {"uid-1", true, true},
		"when it was added and removed again": {"uid-1", false, true},
		"but not in another Pod":              {"uid-0", true, false},
		"but not before it was a member":      {"", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newEtcd(t)
			s.Env = append(s.Env, "POD_UID=uid-1")
			s.Write("state/members", list(cluster, staying...))
			s.Write("state/added", list(cluster, staying...)) // It does not get so far as to be added.
			if test.noted != "" {
				s.Write("volume/member-pod", test.noted+"\n")
			}
			if !test.data {
				emptyVolume(t, s)
			}
			s.Expect("start.sh", "", 1, map[bool]string{true: "the cluster has removed this member while its Pod runs", false: "there was no cluster to join"}[test.want])
			expectAsked(t, s, "member add", !test.want)
			s.ExpectNot("state/started", "a server was started")
			if _, err := os.Stat(s.Path("volume/data/member/wal/" + walFile)); test.data && err != nil {
				t.Error("its data was set aside before it was added again")
			}
		})
	}
}

func TestMemberThatLeftJoinsWhenItIsAddedAgain(t *testing.T) {
	t.Parallel()
	s := newEtcd(t)
	s.Env = append(s.Env, "POD_UID=uid-1")
	s.Write("volume/member-pod", "uid-1\n")
	s.Write("state/members", list(cluster, append(staying[:2:2], one("abcd", "web-5", "", true))...))
	s.Write("state/back", list(cluster, all...))
	// Its server makes a log, and is a voter at once.
	s.Program("bin/etcd", fmt.Sprintf(`#!/bin/sh
echo "$*" >%[1]s/state/started
ls %[1]s/volume >%[1]s/state/found
mkdir -p %[1]s/volume/data/member/wal
cp %[1]s/volume/aside-*/member/wal/%[2]s %[1]s/volume/data/member/wal/
cp %[1]s/state/back %[1]s/state/members
for i in $(seq 50); do [ -e %[1]s/volume/joining ] || exit 0; sleep 0.1; done
exit 1
`, s.Path(""), walFile))
	if code, output := s.Output("start.sh"); code != 0 || !strings.Contains(output, "Setting the data on the volume aside: the cluster has removed the member "+member) {
		t.Fatalf("start.sh exited with %d: %s", code, output)
	}
	if got := s.Read("state/started"); !strings.Contains(got, "--initial-cluster-state existing") {
		t.Errorf("etcd was started with %q", got)
	}
	if got := s.Read("state/found"); strings.Contains(got, "data\n") || !strings.Contains(got, "aside-") {
		t.Errorf("on the volume was %q, want the data that the cluster is done with set aside", got)
	}
	expectAsked(t, s, "member add", false)
}

func TestStartNotesThePodThatIsAMember(t *testing.T) {
	t.Parallel()
	s := newEtcd(t)
	s.Env = append(s.Env, "POD_UID=uid-1")
	s.Program("bin/etcd", fmt.Sprintf("#!/bin/sh\nfor i in $(seq 50); do [ ! -e %[1]s/volume/member-pod ] || exit 0; sleep 0.1; done\nexit 1\n", s.Path("")))
	if code, output := s.Output("start.sh"); code != 0 || s.Read("volume/member-pod") != "uid-1\n" {
		t.Errorf("start.sh exited with %d, and noted the Pod %q: %s", code, s.Read("volume/member-pod"), output)
	}
}

// A member that sees no others may be the first, or DNS fails. It is not for it to say.
func TestNoMemberFoundsAClusterByItself(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*testing.T, *stage.Stage)
		want   string
	}{
		"when DNS fails":                 {func(_ *testing.T, s *stage.Stage) { s.Write("state/no-dns", "") }, "the members can't be looked up"},
		"when a member has a cluster":    {func(*testing.T, *stage.Stage) {}, "the member at 127.1.0.1 has one, and web-5 will join it"},
		"when the Pod doesn't wait":      {func(_ *testing.T, s *stage.Stage) { _ = os.Remove(s.Path("volume/waiting")) }, "web-5 does not wait for one"},
		"when there is data on a volume": {fillVolume, "web-5 has a cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newEtcd(t)
			emptyVolume(t, s)
			s.Write("state/members", none)
			s.Write("state/status", "")
			s.Expect("start.sh", "", 1, "there was no cluster to join for 1 s")
			s.ExpectNot("state/started", "a server was started")
			test.change(t, s)
			if _, output := s.Output("found.sh"); !strings.Contains(output, test.want) {
				t.Errorf("found.sh said %q, want %q", output, test.want)
			}
			s.ExpectNot("volume/founded", "found.sh has founded a cluster")
		})
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	joined := list(cluster, append(staying[:2:2], one(member, "web-5", "", true))...)
	for name, test := range map[string]struct {
		change func(*testing.T, *stage.Stage)
		// want are the flags that etcd is started with, and asked what etcdctl was asked for, each but for what every start has.
		want, asked string
	}{
		"on its data, without a word about the cluster": {func(*testing.T, *stage.Stage) {}, "", ""},
		"on its data, when no majority answers":         {func(_ *testing.T, s *stage.Stage) { s.Write("state/members", none) }, "", ""},
		"on its data, when another cluster answers":     {func(_ *testing.T, s *stage.Stage) { s.Write("state/members", list("abc", staying...)) }, "", ""},
		"as a new member, when the cluster has removed it": {func(_ *testing.T, s *stage.Stage) {
			s.Write("state/members", list(cluster, staying...))
		}, "--initial-cluster-state existing --initial-cluster web-0=http://web-0.etcd:2380,web-1=http://web-1.etcd:2380,web-5=http://web-5.etcd:2380",
			"member add web-5 --learner --peer-urls http://web-5.etcd:2380"},
		"as a new member, when its volume was lost": {func(t *testing.T, s *stage.Stage) { emptyVolume(t, s) },
			"--initial-cluster-state existing", "member remove " + member},
		"as the first, when a person says so": {func(t *testing.T, s *stage.Stage) {
			emptyVolume(t, s)
			s.Write("volume/founded", "")
		}, "--initial-cluster-state new --initial-cluster web-5=http://web-5.etcd:2380 --initial-cluster-token a-uuid", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newEtcd(t)
			s.Write("state/added", joined)
			s.Write("state/all", list(cluster, all...))
			s.Write("state/wal", s.Read("volume/data/member/wal/"+walFile))
			// A server that joins has a log soon, and ends here as soon as it has a vote.
			s.Program("bin/etcd", fmt.Sprintf(`#!/bin/sh
echo "$*" >%[1]s/state/started
mkdir -p %[1]s/volume/data/member/wal
cp %[1]s/state/wal %[1]s/volume/data/member/wal/%[2]s
[ -s %[1]s/state/members ] || cp %[1]s/state/all %[1]s/state/members
for i in $(seq 50); do [ -e %[1]s/volume/joining ] || exit 0; sleep 0.1; done
exit 1
`, s.Path(""), walFile))
			test.change(t, s)
			if code, output := s.Output("start.sh"); code != 0 {
				t.Fatalf("start.sh exited with %d: %s", code, output)
			}
			got := strings.TrimSpace(s.Read("state/started"))
			if _, flags, _ := strings.Cut(got, "--initial-advertise-peer-urls http://web-5.etcd:2380"); !strings.HasPrefix(strings.TrimSpace(flags), test.want) ||
				test.want == "" && flags != "" {
				t.Errorf("etcd was started with %q, want %q", got, test.want)
			}
			expectAsked(t, s, "member add", strings.Contains(test.want, "existing"))
			expectAsked(t, s, "member promote", strings.Contains(test.want, "existing"))
			expectAsked(t, s, test.asked, true)
			s.ExpectNot("volume/joining", "start.sh believes that the member has yet to join")
		})
	}
}
