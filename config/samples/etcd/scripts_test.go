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
