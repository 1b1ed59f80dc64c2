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

// Package nats tests the scripts of this recipe, with stand-ins for the programs that they start. With real servers they run in test/e2e.
package nats

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/stage"
)

// jsz is what a server says about itself, with the servers that it counts beside itself.
func jsz(streams, messages int, leader string, others ...string) string {
	text := fmt.Sprintf("{\n  \"streams\": %d,\n  \"consumers\": %d,\n  \"messages\": %d,\n  \"meta_cluster\": {\n    \"name\": \"nats\",\n", streams, streams, messages)
	if leader != "" {
		text += fmt.Sprintf("    \"leader\": %q,\n", leader)
	}
	text += "    \"replicas\": [\n"
	for _, other := range others {
		text += fmt.Sprintf("      {\n        \"name\": %q,\n        \"current\": true\n      },\n", other)
	}
	return text + "    ]\n  }\n}\n"
}

// newNATS is a server that left, with two streams on its volume, and two servers that remain and count it. Moving the streams takes them from the
// volume, and removing the server makes the others forget it.
func newNATS(t *testing.T) *stage.Stage {
	s := stage.New(t, map[string]string{"/data": "volume"}, map[string]string{
		"wget": `
case "$*" in
*127.0.0.1:8222/healthz*) [[ -e $state/started && ! -e $state/not-current ]] ;;
*127.0.0.1:8222/jsz) [[ -e $state/started ]] && cat $state/own ;;
*web-6.nats:8222/varz) [[ -e $state/six ]] ;;
*:8222/healthz*) [[ ! -e $state/no-peers ]] ;;
*:8222/jsz) cat $state/peer ;;
*) exit 1 ;;
esac`,
		"nats": `
echo "$NATS_URL $NATS_USER $NATS_PASSWORD $*" >>$state/asked
case "$*" in
*"server cluster evacuate"*) [[ ! -e $state/refuses ]] || { cat $state/refuses >&2; exit 1; }
	cp $state/own-empty $state/own; [[ -e $state/again ]] || rm -rf $state/../volume/jetstream/APPLICATION/streams/* ;;
*peer-remove*) cp $state/peer-after $state/peer ;;
esac`,
		"nats-server": `echo "$SERVER_NAME $*" >$state/started; exec sleep 60`,
		"sync":        ``,
	})
	s.Env = append(s.Env, "DRAIN_PEERS=web-0.nats.ns.svc,web-1.nats.ns.svc", "SYSTEM_PASSWORD=secret")
	s.Write("state/own", jsz(2, 30, "web-1", "web-0", "web-1"))
	s.Write("state/own-empty", jsz(0, 0, "web-1", "web-0", "web-1"))
	s.Write("state/peer", jsz(1, 10, "web-1", "web-1", "web-5"))
	s.Write("state/peer-after", jsz(1, 10, "web-1", "web-1"))
	s.Write("volume/.drain-owner", "web-5\n")
	for _, folder := range []string{"$SYS/_js_/_meta_", "APPLICATION/streams/one", "APPLICATION/streams/two"} {
		if err := os.MkdirAll(s.Path("volume/jetstream/"+folder), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestServerMovesItsStreamsAndLeaves(t *testing.T) {
	t.Parallel()
	s := newNATS(t)
	s.Env = append(s.Env, "PATIENCE_SECONDS=20")
	s.Expect("drain.sh", "", 0, "moved 2 streams, 2 consumers and 30 messages; removed web-5, 2 servers remain")
	if got := s.Read("state/started"); got != "web-5 --config /etc/nats/nats.conf\n" {
		t.Errorf("the server was started as %q", got)
	}
	asked := s.Read("state/asked")
	evacuate := strings.Index(asked, "nats://127.0.0.1:4222 system secret server cluster evacuate web-5 --force")
	remove := strings.Index(asked, "nats://web-0.nats.ns.svc:4222 system secret server cluster peer-remove web-5 --force")
	if evacuate < 0 || remove < evacuate {
		t.Errorf("nats was asked %q, want to move all and then to remove", asked)
	}
	if err := os.Remove(s.Path("state/started")); err != nil {
		t.Fatal(err)
	}
	s.Expect("drain.sh", "", 0, "web-5 has no streams and is not counted, 2 servers remain") // A second run finds what was done.
	s.ExpectNot("state/started", "a server was started again, which would join again")
}

func TestDrainFailsInTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*stage.Stage)
		want   string
	}{
		"an empty folder":           {func(s *stage.Stage) { _ = os.Remove(s.Path("volume/.drain-owner")) }, "web-5 has never started on it"},
		"the volume of another Pod": {func(s *stage.Stage) { s.Write("volume/.drain-owner", "web-4\n") }, "this is the volume of web-4"},
		"no server remains":         {func(s *stage.Stage) { s.Env = append(s.Env, "DRAIN_PEERS=") }, "no server remains that could take the streams: web is scaled to 0"},
		"a volume without JetStream": {func(s *stage.Stage) { _ = os.RemoveAll(s.Path("volume/jetstream")) },
			"there is nothing of JetStream on this volume"},
		"servers without a leader": {func(s *stage.Stage) { s.Write("state/peer", jsz(1, 10, "", "web-1", "web-5")) },
			"no progress for 1 s, while waiting for JetStream to have a leader and take web-5 in"},
		"servers that don't answer": {func(s *stage.Stage) { s.Write("state/no-peers", "") },
			"no progress for 1 s, while waiting for JetStream to have a leader and take web-5 in"},
		"a server that is not current": {func(s *stage.Stage) { s.Write("state/not-current", "") },
			"no progress for 1 s, while waiting for JetStream to have a leader and take web-5 in"},
		"a server that was removed before its streams moved": {func(s *stage.Stage) { s.Write("state/peer", jsz(1, 10, "web-1", "web-1")) },
			"no progress for 1 s, while waiting for JetStream to have a leader and take web-5 in"},
		"streams that don't move": {func(s *stage.Stage) { s.Write("state/refuses", "nats: error: no suitable peers for placement\n") },
			"no progress for 1 s, while waiting for 2 streams, 2 consumers and 30 messages to move. A stream needs as many servers as it has replicas. " +
				"nats said last: nats: error: no suitable peers for placement"},
		"a new stream on the volume": {func(s *stage.Stage) { s.Write("state/again", "") }, "2 streams are on the volume again: one two"},
		"servers that keep it": {func(s *stage.Stage) { s.Write("state/peer-after", jsz(1, 10, "web-1", "web-1", "web-5")) },
			"no progress for 1 s, while waiting for those that remain to remove web-5"},
		"a drain of a higher ordinal": {func(s *stage.Stage) {
			s.Write("state/six", "")
			s.Write("state/own", jsz(2, 30, "web-1", "web-0", "web-1", "web-6"))
		}, "no progress for 1 s, while waiting for web-6 to go first"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newNATS(t)
			test.change(s)
			s.Expect("drain.sh", "", 1, test.want)
			if removed := strings.Contains(s.Read("state/asked"), "peer-remove"); removed != strings.Contains(test.want, "to remove web-5") {
				t.Errorf("the server was removed: %t", removed)
			}
		})
	}
}

func TestDrainStopsAtOnce(t *testing.T) {
	t.Parallel()
	s := newNATS(t)
	s.Env = append(s.Env, "PATIENCE_SECONDS=600")
	s.Write("state/no-peers", "")
	s.Expect("drain.sh", "state/started", 143, "told to stop before it was done")
}

func TestStart(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*stage.Stage)
		code   int
		want   string
	}{
		"on its own volume":           {func(*stage.Stage) {}, 0, ""},
		"on a new volume":             {func(s *stage.Stage) { _ = os.RemoveAll(s.Path("volume")); _ = os.Mkdir(s.Path("volume"), 0o750) }, 0, ""},
		"not on another Pod's volume": {func(s *stage.Stage) { s.Write("volume/.drain-owner", "web-4\n") }, 1, "this is not the volume of web-5: it has the data of web-4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newNATS(t)
			s.Program("bin/nats-server", "#!/bin/sh\n")
			test.change(s)
			code, output := s.Output("start.sh")
			if code != test.code || !strings.Contains(output, test.want) {
				t.Errorf("start.sh exited with %d: %s", code, output)
			}
			if owner := s.Read("volume/.drain-owner"); code == 0 && owner != "web-5\n" {
				t.Errorf("the volume belongs to %q", owner)
			}
		})
	}
}
