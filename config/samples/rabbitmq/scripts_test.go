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

// Package rabbitmq tests the scripts of this recipe, with stand-ins for RabbitMQ and its tools. With real servers they run in test/e2e.
package rabbitmq

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/stage"
)

const (
	clusterID = "rabbitmq-cluster-id-1"
	own       = "rabbit@web-5.web-peers"
	first     = "rabbit@web-0.web-peers"
	second    = "rabbit@web-1.web-peers"
)

// report is what a member says of the cluster. A member that is down has a minus before its name.
func report(members []string, queues ...string) string {
	lines := []string{"cluster\t" + clusterID}
	for _, member := range members {
		name, down := strings.CutPrefix(member, "-")
		state := "up"
		if down {
			state = "down"
		}
		lines = append(lines, "member\t"+name+"\t"+state)
	}
	return strings.Join(append(append(lines, queues...), "end", "ok", ""), "\n")
}

// queue is a line of a report.
func queue(kind, nodes, name string) string {
	return strings.Join([]string{"queue", kind, nodes, `\x2f`, name, name + " in /"}, "\t")
}

var (
	staying = []string{first, second}
	all     = []string{first, second, own}
	ownDown = []string{first, second, "-" + own}
)

// newRabbit is a member, web-5, and two that stay. What these say is in state/report. A tool that changes something writes its file over it: state/grow,
// state/shrink, and so on, if it is there.
func newRabbit(t *testing.T) *stage.Stage {
	const tool = `
asked="${0##*/} ${*:4}"
echo "${asked//$'\n'/ }" >>$state/asked
case "$4" in
eval)
  case "$5" in
  *is_running*) cat $state/app ;;
  *tcp_listeners*) ;;
  *) [[ $2 == *web-5* && ! -e $state/answers ]] && exit 69; cat $state/report ;;
  esac ;;
*)
  if [[ -e $state/refuses-$4 ]]; then cat $state/refuses-$4; exit 69; fi
  if [[ -e $state/$4 ]]; then cp $state/$4 $state/report; fi ;;
esac
`
	s := stage.New(t, map[string]string{
		"/var/lib/rabbitmq": "volume", "/run/rabbitmq": "state", "/usr/lib/rabbitmq/bin": "bin", "/etc/rabbitmq": "scripts",
	}, map[string]string{
		"timeout":     `if [[ "$*" == *dev/tcp* ]]; then [[ ! -e $state/silent-${*: -1} ]]; else exec /usr/bin/timeout "$@"; fi`,
		"rabbitmqctl": tool, "rabbitmq-queues": tool, "rabbitmq-upgrade": tool, "sync": "",
		"rabbitmq-server": `echo started >>$state/started; exec sleep 4`,
		"hostname":        `echo 127.1.0.5`,
		"getent":          `[[ ! -e $state/no-dns ]] && echo "127.1.0.1 STREAM"`,
	})
	s.Env = append(s.Env, "RABBITMQ_COOKIE=secret", "DRAIN_SERVICE=web-peers", "DRAIN_PEERS=web-0.web-peers.ns.svc,web-1.web-peers.ns.svc", "RABBITMQ_SEEDS=web-0 web-1")
	s.Write("state/report", report(all))
	s.Write("state/forget_cluster_node", report(staying))
	s.Write("state/app", "true\n")
	s.Write("volume/.drain-owner", "web-5\n")
	s.Write("volume/.cluster", clusterID+"\n")
	if err := os.MkdirAll(s.Path("volume/mnesia/"+own), 0o750); err != nil {
		t.Fatal(err)
	}
	return s
}

// newJob is a Job of a member that runs. It has no claim.
func newJob(t *testing.T, action string) *stage.Stage {
	s := newRabbit(t)
	s.Env = append(s.Env, "DRAIN_ACTION="+action)
	if err := os.RemoveAll(s.Path("volume")); err != nil {
		t.Fatal(err)
	}
	return s
}

// changes are the commands that were asked for, in their order, without those that only look.
func changes(s *stage.Stage) string {
	var commands []string
	for line := range strings.Lines(s.Read("state/asked")) {
		if fields := strings.Fields(line); !strings.HasPrefix(fields[1], "eval") {
			commands = append(commands, fields[1])
		}
	}
	return strings.Join(commands, " ")
}

func expectChanges(t *testing.T, s *stage.Stage, want string) {
	t.Helper()
	if got := changes(s); got != want {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

func TestMemberLeavesAlive(t *testing.T) {
	t.Parallel()
	s := newJob(t, "leave")
	s.Write("state/report", report(all, queue("quorum", own, "a"), queue("quorum", own+","+first+","+second, "b"), queue("classic", first, "c"), queue("classic", own+","+first, "d")))
	s.Write("state/grow", report(all, queue("quorum", own+","+first+","+second, "a"), queue("quorum", own+","+first+","+second, "b")))
	s.Write("state/shrink", report(all, queue("quorum", first+","+second, "a"), queue("quorum", first+","+second, "b")))
	for range 2 { // A second run finds what was done.
		s.Expect("member.sh", "", 0, "removed "+own+", 2 members remain; moved ")
	}
	expectChanges(t, s, "grow shrink drain stop_app forget_cluster_node")
	if got := s.Read("state/asked"); !strings.Contains(got, `all --vhost-pattern ^\x2f$ --queue-pattern ^(a)$`) {
		t.Errorf("queues that have enough replicas must not grow; asked:\n%s", got)
	}
}

// A member that doesn't answer is removed by the others, which know whether it runs.
func TestMemberThatIsDownIsRemoved(t *testing.T) {
	t.Parallel()
	s := newJob(t, "leave")
	s.Write("state/report", report(ownDown))
	s.Expect("member.sh", "", 0, "removed "+own+", 2 members remain")
	expectChanges(t, s, "forget_cluster_node")
}

func TestMemberLeavesOrSaysWhyNot(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change       func(*stage.Stage)
		want, wanted string
	}{
		"a classic queue without a mirror": {func(s *stage.Stage) { s.Write("state/report", report(all, queue("classic", own, "q.1"))) },
			own + " has the only copy of q.1 in / (classic). Empty and delete it", ""},
		"a stream": {func(s *stage.Stage) {
			s.Write("state/report", report(all, queue("rabbit_stream_queue", first+","+own, "log")))
		},
			own + " has the only copy of log in / (rabbit_stream_queue)", ""},
		"a queue that a client declares meanwhile": {func(s *stage.Stage) { s.Write("state/stop_app", report(ownDown, queue("classic", own, "late"))) },
			own + " has the only copy of late in / (classic)", "drain stop_app start_app"},
		"a member that stays and is down": {func(s *stage.Stage) { s.Write("state/report", report([]string{first, "-" + second, own})) },
			"the cluster still has " + own + " after 1 s: these members are down: " + second, ""},
		"members that refuse": {func(s *stage.Stage) {
			s.Write("state/report", report(ownDown))
			s.Write("state/refuses-forget_cluster_node", "Error: rabbit_still_running")
		}, "rabbit_still_running", "forget_cluster_node"},
		"members that don't listen": {func(s *stage.Stage) {
			s.Write("state/silent-web-0.web-peers", "")
			s.Write("state/silent-web-1.web-peers", "")
		}, "none of the members that remain answers", ""},
		"members that don't answer": {func(s *stage.Stage) { _ = os.Remove(s.Path("state/report")) }, "none of the members that remain answers", ""},
		"an answer that was cut off": {func(s *stage.Stage) { s.Write("state/report", "cluster\t"+clusterID+"\nmember\t"+first+"\tup\n") },
			"none of the members that remain answers", ""},
		"the last member":           {func(s *stage.Stage) { s.Env = append(s.Env, "DRAIN_PEERS=") }, "no member remains", ""},
		"an action that is unknown": {func(s *stage.Stage) { s.Env = append(s.Env, "DRAIN_ACTION=dance") }, "there is no action dance", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newJob(t, "leave")
			test.change(s)
			s.Expect("member.sh", "", 1, test.want)
			if got := changes(s); got != test.wanted && !strings.HasPrefix(got, test.wanted+" "+test.wanted) {
				t.Errorf("asked for %q, want %q", got, test.wanted)
			}
		})
	}
}

// A queue whose replicas can't be taken stays, and so does the member.
func TestMemberStaysWhileItHasAReplica(t *testing.T) {
	t.Parallel()
	s := newJob(t, "leave")
	s.Write("state/report", report(all, queue("quorum", own+","+first+","+second, "a")))
	s.Expect("member.sh", "", 1, "the cluster still has "+own+" after 1 s: 1 quorum queues have a replica on "+own)
	if got := changes(s); strings.Contains(got, "stop_app") || strings.Contains(got, "forget") {
		t.Errorf("asked for %q", got)
	}
}

func TestJobsStopAtOnce(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"member.sh", "drain.sh"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			s := newRabbit(t)
			s.Env = append(s.Env, "DRAIN_ACTION=leave", "PATIENCE_SECONDS=600")
			s.Program("bin/rabbitmqctl", "#!/bin/bash\ntouch "+s.Path("state/began")+"; exec sleep 60\n")
			s.Expect(script, "state/began", 143, "told to stop before it was done")
		})
	}
}

func TestMemberJoinsAgain(t *testing.T) {
	t.Parallel()
	s := newJob(t, "rejoin")
	s.Env = append(s.Env, "PATIENCE_SECONDS=10")
	s.Write("state/report", report(staying))
	s.Write("state/app", "false\n")
	s.Write("state/stop", report(all, queue("quorum", first+","+second, "a"))) // It starts again by itself, and joins.
	s.Write("state/grow", report(all, queue("quorum", own+","+first+","+second, "a")))
	s.Expect("member.sh", "", 0, own+" is a member again, and serves")
	expectChanges(t, s, "stop revive grow revive")
}

func TestMemberJoinsInTimeOrFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		report, app, want string
	}{
		"a member without a server":      {report(staying), "", "its server doesn't answer"},
		"a member that doesn't come up":  {report(staying), "false\n", own + " doesn't serve as a member after 1 s"},
		"no other member that answers":   {"", "false\n", "none of the other members answers"},
		"a member that only has to wake": {report(ownDown), "false\n", own + " doesn't serve as a member after 1 s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newJob(t, "rejoin")
			s.Write("state/report", test.report)
			s.Write("state/app", test.app)
			s.Expect("member.sh", "", 1, test.want)
			if got := strings.Count(changes(s), "stop"); got > 1 {
				t.Errorf("the server was stopped %d times", got)
			}
		})
	}
}

func TestDrainOfAMemberThatHasLeft(t *testing.T) {
	t.Parallel()
	s := newRabbit(t)
	s.Write("state/report", report(staying, queue("quorum", first+","+second, "a")))
	for range 2 { // A second run finds what was done.
		s.Expect("drain.sh", "", 0, own+" is not a member, 2 members remain, and no queue needs this volume")
	}
	s.ExpectNot("volume/mnesia", "the data of a member that has left must not start again")
	expectChanges(t, s, "")
}

// A member whose pod was deleted before it could leave.
func TestDrainRemovesTheMember(t *testing.T) {
	t.Parallel()
	s := newRabbit(t)
	s.Write("state/report", report(ownDown, queue("quorum", own+","+first, "a")))
	s.Write("state/grow", report(ownDown, queue("quorum", own+","+first+","+second, "a")))
	s.Write("state/shrink", report(ownDown, queue("quorum", first+","+second, "a")))
	s.Expect("drain.sh", "", 0, own+" is not a member, 2 members remain")
	expectChanges(t, s, "grow shrink forget_cluster_node")
}

func TestDrainFailsInTime(t *testing.T) {
	t.Parallel()
	noData := func(s *stage.Stage) { _ = os.RemoveAll(s.Path("volume/mnesia")) }
	for name, test := range map[string]struct {
		change func(*stage.Stage)
		want   string
	}{
		"an empty folder":           {func(s *stage.Stage) { _ = os.Remove(s.Path("volume/.drain-owner")) }, "web-5 has never started on it"},
		"the volume of another Pod": {func(s *stage.Stage) { s.Write("volume/.drain-owner", "web-4\n") }, "this is the volume of web-4"},
		"a volume without data":     {noData, "this volume has no data, though it is that of web-5"},
		"a volume without data of a member that counts": {func(s *stage.Stage) {
			noData(s)
			s.Write("volume/.drained", clusterID+"\n")
		}, "the cluster has " + own + " as a member, and this volume has no data"},
		"another cluster":        {func(s *stage.Stage) { s.Write("volume/.cluster", "rabbitmq-cluster-id-2\n") }, "this volume has data of rabbitmq-cluster-id-2"},
		"a server that runs":     {func(*stage.Stage) {}, "its server runs"},
		"no member that remains": {func(s *stage.Stage) { s.Env = append(s.Env, "DRAIN_PEERS=") }, "no member remains: web is scaled to 0"},
		"a classic queue on the volume": {func(s *stage.Stage) { s.Write("state/report", report(ownDown, queue("classic", own, "q"))) },
			own + " has the only copy of q in / (classic). It is on this volume. Let the member come back"},
		"the only replica of a quorum queue": {func(s *stage.Stage) { s.Write("state/report", report(staying, queue("quorum", own, "q"))) },
			"the cluster still has " + own + " after 1 s: 1 quorum queues have too few replicas"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRabbit(t)
			test.change(s)
			s.Expect("drain.sh", "", 1, test.want)
			if _, err := os.Stat(s.Path("volume/mnesia")); err != nil && !strings.Contains(name, "without data") {
				t.Errorf("the data must stay: %v", err)
			}
		})
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*stage.Stage)
		aside  bool
	}{
		"a member starts with its data":                       {func(*stage.Stage) {}, false},
		"a member that was removed joins again":               {func(s *stage.Stage) { s.Write("state/report", report(staying)) }, true},
		"data of another cluster is kept":                     {func(s *stage.Stage) { s.Write("state/report", report(staying)); s.Write("volume/.cluster", "other\n") }, false},
		"a member that gets no answer starts with its data":   {func(s *stage.Stage) { s.Write("state/report", "") }, false},
		"a member that was about to join begins from nothing": {func(s *stage.Stage) { s.Write("volume/joining", "") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRabbit(t)
			test.change(s)
			joining := s.Read("volume/joining") != "" || strings.Contains(name, "join")
			code, output := s.Output("start.sh")
			aside, err := filepath.Glob(s.Path("volume/aside-*"))
			if err != nil || (len(aside) == 1) != test.aside {
				t.Errorf("set aside: %q, %v, want %t; it printed:\n%s", aside, err, test.aside, output)
			}
			if strings.Contains(output, "Joining") != joining || !joining && (code != 0 || s.Read("state/started") == "") {
				t.Errorf("it exited with %d, and printed:\n%s", code, output)
			}
		})
	}
}

// A volume that was lost must not look like a new member.
func TestMemberWithoutItsDataDoesNotJoin(t *testing.T) {
	t.Parallel()
	s := newRabbit(t)
	if err := os.RemoveAll(s.Path("volume/mnesia")); err != nil {
		t.Fatal(err)
	}
	code, output := s.Output("start.sh")
	if code != 1 || !strings.Contains(output, "the cluster has "+own+" as a member, and this volume has no data") {
		t.Errorf("it exited with %d, and printed:\n%s", code, output)
	}
	s.ExpectNot("state/started", "a server was started")
}

func TestFoundsNothingByItself(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*stage.Stage)
		code   int
		want   string
	}{
		"one that waits": {func(s *stage.Stage) {
			s.Write("volume/waiting", "")
			s.Write("state/silent-127.1.0.1", "")
		}, 0, "web-5 founds a cluster"},
		"one that does not wait": {func(*stage.Stage) {}, 1, "web-5 does not wait for one"},
		"one without DNS": {func(s *stage.Stage) {
			s.Write("volume/waiting", "")
			s.Write("state/silent-127.1.0.1", "")
			s.Write("state/no-dns", "")
		}, 1, "the members can't be looked up"},
		"one of a cluster": {func(s *stage.Stage) { _ = os.Mkdir(s.Path("volume/mnesia"), 0o750) }, 0, "web-5 has a cluster"},
		"one that sees a member": {func(s *stage.Stage) {
			s.Write("volume/waiting", "")
		}, 1, "the member at 127.1.0.1 has one, and web-5 will join it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRabbit(t)
			if err := os.RemoveAll(s.Path("volume/mnesia")); err != nil {
				t.Fatal(err)
			}
			test.change(s)
			if code, output := s.Output("found.sh"); code != test.code || !strings.Contains(output, test.want) {
				t.Errorf("it exited with %d and printed %q, want %d and %q", code, output, test.code, test.want)
			}
			_, err := os.Stat(s.Path("volume/founded"))
			if founded := err == nil; founded != (test.want == "web-5 founds a cluster") {
				t.Errorf("founded: %t", founded)
			}
		})
	}
}
