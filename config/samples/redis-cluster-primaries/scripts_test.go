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

// Package redis tests the scripts of this recipe, with stand-ins for the programs that they start. With real servers they run in test/e2e.
package redis

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/stage"
)

const (
	self    = "5555555555555555555555555555555555555555"
	first   = "1111111111111111111111111111111111111111"
	second  = "2222222222222222222222222222222222222222"
	foreign = "9999999999999999999999999999999999999999"
	podIP   = "127.1.0.5"
)

// redisStandIns are a server that ends on a signal, and a redis-cli that tells what is in files: nodes.<address>, memory.<address>, keys.
var redisStandIns = map[string]string{
	"hostname": `echo web-5.web.ns.svc`,
	"getent":   `echo "$2 STREAM"`,
	"redis-server": `
trap 'touch $state/ended; exit 0' TERM
touch $state/serving
while [[ ! -e $state/crash && $SECONDS -lt 60 ]]; do sleep 0.02; done
exit 1`,
	"redis-cli": `
if [[ "$1" == --cluster ]]; then
	echo "$*" >>$state/calls
	if [[ "$2" == reshard ]]; then . $state/reshard; fi
	exit
fi
host=$2
shift 2
case "$*" in
ping) [[ -e $state/serving ]] && echo PONG ;;
dbsize) cat $state/keys ;;
"cluster nodes") cat $state/nodes.$host ;;
"info memory") cat $state/memory.$host ;;
"cluster forget "*) grep -qsx "$host" $state/stubborn || sed -i "/^$3 /d" $state/nodes.$host ;;
*) exit 1 ;;
esac`,
}

// node is a line of CLUSTER NODES, of a member with the slots, if there are any.
func node(id, address, flags, slots string) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s:6379@16379,web.ns.svc %s - 0 0 1 connected %s", id, address, flags, slots)) + "\n"
}

// newRedis is a member with ten slots and three keys whose two peers know it.
func newRedis(t *testing.T) *stage.Stage {
	s := stage.New(t, map[string]string{"/data": "volume", "/etc/redis-cluster": "scripts"}, redisStandIns)
	s.Env = append(s.Env, "POD_IP="+podIP)
	s.Write("volume/.drain-owner", "web-5\n")
	s.Write("volume/nodes.conf", node(self, "10.9.9.9", "myself,master", "0-9")+node(first, "10.9.9.1", "master", "10-19")+node(second, "10.9.9.2", "master", "20-29"))
	s.Write("state/nodes."+podIP, node(self, podIP, "myself,master", "0-9")+node(first, "127.1.0.1", "master", "10-19")+node(second, "127.1.0.2", "master", "20-29"))
	s.Write("state/nodes.127.1.0.1", node(first, "127.1.0.1", "myself,master", "10-19")+node(self, podIP, "master", "0-9"))
	s.Write("state/nodes.127.1.0.2", node(second, "127.1.0.2", "myself,master", "20-29")+node(self, podIP, "master", "0-9"))
	s.Write("state/keys", "3\n")
	for _, address := range []string{podIP, "127.1.0.1", "127.1.0.2"} {
		s.Write("state/memory."+address, "used_memory:1000\r\nused_memory_dataset:800\r\nmaxmemory:1500\r\n")
	}
	s.Write("state/reshard", "echo 0 >$state/keys; sed -i 's/ 0-9$//' $state/nodes.*\n")
	return s
}

func TestRedisDrainMovesItsSlots(t *testing.T) {
	t.Parallel()
	s := newRedis(t)
	s.Expect("drain.sh", "", 0, "moved 10 slots with 3 keys to 2 members, which have forgotten "+self)
	s.ExpectNot("volume/nodes.conf", "the volume still has the old member")
	if left := s.Read("volume/.drain-owner"); left != "web-5\n" {
		t.Errorf("the marker is %q", left)
	}
	if !strings.Contains(s.Read("state/calls"), "--cluster-to "+first) || s.Read("state/ended") != "" {
		t.Errorf("calls = %s", s.Read("state/calls"))
	}
	s.Expect("drain.sh", "", 0, "nothing is on the volume")
}

// The server of a volume that isn't its own, or of another cluster, is not even started.
func TestRedisDrainKnowsItsVolumeAndItsCluster(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*stage.Stage)
		want   string
	}{
		"an empty folder": {func(s *stage.Stage) {
			_ = os.Remove(s.Path("volume/nodes.conf"))
			_ = os.Remove(s.Path("volume/.drain-owner"))
		}, "web-5 has never started on it"},
		"the volume of another Pod": {func(s *stage.Stage) { s.Write("volume/.drain-owner", "web-4\n") }, "this is the volume of web-4"},
		"data without nodes.conf": {func(s *stage.Stage) {
			_ = os.Remove(s.Path("volume/nodes.conf"))
			s.Write("volume/dump.rdb", "data")
		}, "no nodes.conf that says whose it is"},
		"a new cluster under the same names": {func(s *stage.Stage) {
			s.Write("state/nodes.127.1.0.1", node(foreign, "127.1.0.1", "myself,master", "10-19"))
		}, "127.1.0.1 is a member of another cluster"},
		"slots that have a new home": {func(s *stage.Stage) {
			s.Write("state/nodes.127.1.0.2", node(second, "127.1.0.2", "myself,master", "2-29")+node(self, podIP, "master", "0-1"))
		}, "8 of the 10 slots on this volume are another member's by now"},
		"members that don't answer": {func(s *stage.Stage) {
			_ = os.Remove(s.Path("state/nodes.127.1.0.1"))
			_ = os.Remove(s.Path("state/nodes.127.1.0.2"))
		}, "no progress for 1 s, while waiting for any of the members that remain to answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRedis(t)
			test.change(s)
			s.Expect("drain.sh", "", 1, test.want)
			s.ExpectNot("state/serving", "redis-server was started")
		})
	}
}

func TestRedisDrainMovesNothingWithoutRoom(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ memory, want string }{
		"a member that is almost full":  {"used_memory:1001\nmaxmemory:1500\n", "127.1.0.2 has no room: it uses 1001 of 1500 bytes, and its part of this member's data is about 500"},
		"a member without a limit":      {"used_memory:10\nmaxmemory:0\n", "127.1.0.2 has no maxmemory"},
		"a member that doesn't tell it": {"", "no progress for 1 s, while waiting for those that remain to tell what room they have"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRedis(t)
			s.Write("state/memory.127.1.0.2", test.memory)
			s.Expect("drain.sh", "", 1, test.want)
			s.ExpectNot("state/calls", "slots were moved")
			if _, err := os.Stat(s.Path("state/ended")); err != nil {
				t.Error("redis-server was not told to end")
			}
		})
	}
}

func TestRedisDrainEndsInTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*stage.Stage)
		want   string
	}{
		"members that take no slot": {func(s *stage.Stage) {
			s.Write("state/reshard", "printf 'Node %s replied with error:\\nOOM command not allowed\\n' 127.1.0.1; exit 1\n")
		}, "no progress for 1 s, while waiting for 10 slots to move; redis-cli said last: OOM command not allowed"},
		"a redis-cli that hangs": {func(s *stage.Stage) { s.Write("state/reshard", "exec sleep 60\n") }, "no progress for 1 s, while waiting for 10 slots to move"},
		"a member that doesn't accept it": {func(s *stage.Stage) {
			s.Write("state/nodes.127.1.0.2", node(second, "127.1.0.2", "myself,master", "20-29")+node(self, "10.9.9.9", "master,fail", "0-9"))
		}, "no progress for 1 s, while waiting for those that remain to accept this member at " + podIP},
		"one that goes first and doesn't": {func(s *stage.Stage) {
			s.Write("state/nodes."+podIP, s.Read("state/nodes."+podIP)+strings.Replace(node(foreign, "127.1.0.6", "master", "30-39"), "web.ns", "web-6.web.ns", 1))
		}, "no progress for 1 s, while waiting for web-6 (10 slots) to go first"},
		"a server that crashes":      {func(s *stage.Stage) { s.Write("state/reshard", "touch $state/crash; sleep 0.2\n") }, "redis-server has ended"},
		"keys without a slot":        {func(s *stage.Stage) { s.Write("state/reshard", "sed -i 's/ 0-9$//' $state/nodes.*\n") }, "no slots are left here, but 3 keys are"},
		"one that doesn't forget it": {func(s *stage.Stage) { s.Write("state/stubborn", "127.1.0.2\n") }, "127.1.0.2 still knows it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRedis(t)
			test.change(s)
			s.Expect("drain.sh", "", 1, test.want)
			if s.Read("volume/nodes.conf") == "" {
				t.Error("the volume was cleared")
			}
		})
	}
}

// Told to end during a long command, it ends at once, after its server has written what it has.
func TestRedisDrainStopsAtOnce(t *testing.T) {
	t.Parallel()
	s := newRedis(t)
	s.Env = append(s.Env, "PATIENCE_SECONDS=600")
	s.Write("state/reshard", "touch $state/moving; exec sleep 60\n")
	s.Expect("drain.sh", "state/moving", 143, "told to stop before it was done")
	if _, err := os.Stat(s.Path("state/ended")); err != nil {
		t.Error("redis-server was not told to end")
	}
	if s.Read("volume/nodes.conf") == "" {
		t.Error("the volume was cleared")
	}
}
