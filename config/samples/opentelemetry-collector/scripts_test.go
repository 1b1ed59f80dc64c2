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

// Package collector tests the scripts of this recipe, with stand-ins for the programs that they start. With real servers they run in test/e2e.
package collector

import (
	"os"
	"strings"
	"testing"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/stage"
)

const (
	queue = "volume/queue/exporter_otlp_http__metrics"
	// full has the keys of a queue with two batches.
	full    = "7\n8\nqmv0\n"
	loaded  = `{"level":"info","msg":"Loaded queue metadata","readIndex":7,"writeIndex":9,"itemsSize":30}`
	ready   = `{"level":"info","msg":"Everything is ready. Begin running and processing data."}`
	refusal = `{"level":"error","msg":"Exporting failed. Dropping data.","error":"code 400"}`
)

// newReplica is an orphaned replica with two batches of 30 items in its queue. The stand-in for the collector prints what state/lines has, and counts
// what state/counted has. When it is stopped, its queue has the keys of state/left. That for bbolt takes a file with its keys for a database.
func newReplica(t *testing.T) *stage.Stage {
	s := stage.New(t, map[string]string{"/data": "volume", "/tmp": "state"}, map[string]string{
		"hostname": `echo web-5`,
		"sleep":    `exec /usr/bin/sleep 0.1`,
		"bbolt": `
			[ ! -e "$state/unreadable" ] || { echo 'invalid database' >&2; exit 1; }
			case $1 in
			check) [ "$(cat "$2")" != damaged ] || { echo 'page 3: invalid'; exit 1; } ;;
			keys) [ "$3" = default ] && cat "$2" ;;
			*) exit 9 ;;
			esac`,
		"otelcol": `
			echo "$QUEUE_DIRECTORY $*" >"$state/flags"
			cat "$state/lines"
			[ ! -e "$state/crash" ] || exit 3
			trap 'for file in "$QUEUE_DIRECTORY"/exporter_*; do [ "${file##*_}" != metrics ] || cat "$state/left" >"$file"; done
				exit "$(cat "$state/status")"' TERM
			touch "$state/running"
			while :; do sleep 1 & wait $!; done`,
		"wget": `
			[ "$1 $2" = "-q -O" ] || exit 9
			case $4 in
			http://127.0.0.1:8888/metrics) [ -e "$state/running" ] && cat "$state/counted" >"$3" ;;
			http://storage/metrics) [ -e "$state/uptime" ] && cat "$state/uptime" >"$3" ;;
			*) exit 9 ;;
			esac`,
	})
	s.Env = append(s.Env, "REMOTE_METRICS_URL=http://storage/metrics", "SETTLE_SECONDS=0", "PATIENCE_SECONDS=20")
	if err := os.MkdirAll(s.Path("volume/queue"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.Write("volume/.drain-owner", "web-5\n")
	s.Write(queue, full)
	s.Write("state/lines", loaded+"\n"+ready+"\n")
	s.Write("state/left", "qmv0\n")
	s.Write("state/status", "0")
	s.Write("state/uptime", "vm_app_uptime_seconds 3600\n")
	count(s, "0", "30")
	return s
}

// count writes what the collector counts: batches in its queue, and items that it has sent.
func count(s *stage.Stage, left, sent string) {
	s.Write("state/counted", `otelcol_exporter_queue_size{data_type="metrics",exporter="otlp_http"} `+left+"\n"+
		"otelcol_exporter_queue_capacity{x=\"y\"} 1000\n"+
		`otelcol_exporter_sent_metric_points_total{exporter="otlp_http",otel_scope_version=""} `+sent+"\n")
}

func TestTheQueueIsSent(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	s.Expect("drain.sh", "", 0, "sent 30 items in 2 batches, nothing is left\n")
	want := s.Path("volume/drain") + " --config=/etc/otelcol/exporter.yaml --config=/etc/otelcol/drain.yaml\n"
	if got := s.Read("state/flags"); got != want {
		t.Errorf("the collector was started with %q, want %q", got, want)
	}
	if got := s.Read(queue); got != "qmv0\n" {
		t.Errorf("the queue on the volume has %q, want an empty one, so that nothing is sent again", got)
	}
	s.ExpectNot("volume/sent", "what was sent is still on the volume")
}

func TestAReplicaWithAnEmptyQueueIsDrainedWithoutTheStorage(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	s.Write(queue, "di\nqmv0\n")
	_ = os.Remove(s.Path("state/uptime"))
	for range 2 { // Another run finds the same.
		s.Expect("drain.sh", "", 0, "sent 0 items in 0 batches, nothing is left")
	}
	s.ExpectNot("state/flags", "the collector was started")
}

func TestADrainThatIsStoppedLeavesTheQueueAsItWas(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	count(s, "1", "10")
	s.Expect("drain.sh", "state/running", 143, "")
	if got := s.Read(queue); got != full {
		t.Errorf("the queue has %q after a drain that was stopped, want %q", got, full)
	}
	count(s, "0", "30")
	_ = os.Remove(s.Path("state/running")) // Only the collector of this run answers.
	s.Expect("drain.sh", "", 0, "sent 30 items in 2 batches")
}

func TestWhatIsLeftFailsTheDrain(t *testing.T) {
	t.Parallel()
	counted := func(left, sent string) func(*stage.Stage) { return func(s *stage.Stage) { count(s, left, sent) } }
	written := func(file, text string) func(*stage.Stage) { return func(s *stage.Stage) { s.Write(file, text) } }
	removed := func(name string) func(*stage.Stage) { return func(s *stage.Stage) { _ = os.RemoveAll(s.Path(name)) } }
	said := func(line string) func(*stage.Stage) {
		return func(s *stage.Stage) { s.Write("state/lines", loaded+"\n"+ready+"\n"+line+"\n") }
	}
	for name, tc := range map[string]struct {
		given func(*stage.Stage)
		want  string
		// impatient is for what the drain waits for.
		impatient bool
		// early says that the collector must not have been started.
		early bool
	}{
		"a batch is in the queue": {given: counted("1", "30"), impatient: true, want: "nothing was sent for 4 s, 30 of 30 items before"},
		"a batch is on its way":   {given: counted("0", "20"), impatient: true, want: "nothing was sent for 4 s, 20 of 30 items before"},
		// It says so at once, and not when its patience ends.
		"the storage refuses a batch": {
			given: func(s *stage.Stage) { said(refusal)(s); count(s, "0", "20") },
			want:  `the remote storage refused a batch: "msg":"Exporting failed. Dropping data."`,
		},
		"the storage takes a part":       {given: said(`{"msg":"Partial success response"}`), want: "the remote storage refused a batch"},
		"a batch can't be read":          {given: said(`{"msg":"Failed to dispatch item"}`), want: "the collector can't read 1 batches"},
		"a batch on its way can't":       {given: said(`{"msg":"Failed unmarshalling item"}`), want: "the collector can't read 1 batches"},
		"a batch on its way is gone":     {given: said(`{"msg":"Failed retrieving item"}`), want: "the collector can't read 1 batches"},
		"the notes can't be read":        {given: said(`{"msg":"starting with new ones"}`), want: "the collector can't read 1 batches"},
		"the collector ends early":       {given: written("state/crash", ""), want: "the collector has ended"},
		"the collector ends with errors": {given: written("state/status", "2"), want: "the collector has ended with 2"},
		"the collector puts a batch back at its end": {
			given: written("state/left", "8\nqmv0\n"), want: "1 batches are left in the queue exporter_otlp_http__metrics",
		},
		"a queue is that of an exporter that is not drained": {
			given: written("volume/queue/exporter_otlp_http__logs", full), want: "2 batches are left in the queue exporter_otlp_http__logs",
		},
		"another version of the collector tells no items": {
			given: written("state/lines", ready+"\n"), want: "the collector doesn't tell what it has found in its queue",
		},
		"another version of the collector lacks a metric": {
			given: written("state/counted", "otelcol_process_uptime 1\n"), want: "the collector has no otelcol_exporter_queue_size",
		},
		"the storage is away": {
			given: removed("state/uptime"), impatient: true, early: true,
			want: "the remote storage doesn't answer at http://storage/metrics",
		},
		"the storage restarts meanwhile": {
			given: written("state/uptime", "vm_app_uptime_seconds -1\n"), want: "the remote storage has restarted during the drain",
		},
		"a queue is damaged":       {given: written(queue, "damaged"), early: true, want: "exporter_otlp_http__metrics is damaged: page 3: invalid"},
		"a queue can't be read":    {given: written("state/unreadable", ""), early: true, want: "the queue exporter_otlp_http__metrics is damaged"},
		"a volume without a queue": {given: removed("volume/queue"), early: true, want: "there is no queue on this volume"},
		"a folder without a queue": {given: removed(queue), early: true, want: "there is no queue on this volume"},
		"an empty volume":          {given: removed("volume"), early: true, want: "of web-5 on this volume"},
		"the volume of another replica": {
			given: written("volume/.drain-owner", "web-4\n"), early: true, want: "of web-5 on this volume",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newReplica(t)
			tc.given(s)
			if tc.impatient {
				s.Env = append(s.Env, "PATIENCE_SECONDS=4")
			}
			before := s.Read(queue)
			s.Expect("drain.sh", "", 1, tc.want)
			if got := s.Read(queue); got != before {
				t.Errorf("the queue has %q after a drain that failed, want %q", got, before)
			}
			if tc.early {
				s.ExpectNot("state/flags", "the collector was started")
			}
		})
	}
}

func TestOnlyAPersonAcceptsALoss(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	s.Write("state/lines", loaded+"\n"+ready+"\n"+`{"msg":"Failed to dispatch item"}`+"\n")
	s.Env = append(s.Env, "ACCEPT_LOSS_OF=web-4")
	s.Expect("drain.sh", "", 1, "the collector can't read 1 batches")
	_ = os.Remove(s.Path("state/running"))
	s.Env = append(s.Env, "ACCEPT_LOSS_OF=web-5")
	s.Expect("drain.sh", "", 0, "nothing is left; accepted: the collector can't read 1 batches\n")
}

func TestABatchThatTheStorageRefusesIsAcceptedOnce(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	s.Write("state/lines", loaded+"\n"+ready+"\n"+refusal+"\n")
	count(s, "0", "20")
	s.Env = append(s.Env, "ACCEPT_LOSS_OF=web-5", "PATIENCE_SECONDS=4")
	s.Expect("drain.sh", "", 0, "; accepted: the remote storage refused a batch")
	if message := s.Read("message"); strings.Count(message, "refused") != 1 {
		t.Errorf("the message is %q, and says more than once what was refused", message)
	}
}

func TestADrainThatWasKilledAtItsEndIsRecovered(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{"drain.sh": 1, "own.sh": 0} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			s := newReplica(t)
			s.Write("state/crash", "") // What the scripts did to the volume before the collector is of interest.
			if err := os.Rename(s.Path("volume/queue"), s.Path("volume/sent")); err != nil {
				t.Fatal(err)
			}
			if code, output := s.Output(script); code != want {
				t.Errorf("%s ended with %d: %s", script, code, output)
			}
			if got := s.Read(queue); got != full {
				t.Errorf("after a drain that was killed between its last steps, the queue has %q, want %q", got, full)
			}
			s.ExpectNot("volume/sent", "there are two queues")
		})
	}
}

func TestAReplicaTakesItsOwnVolumeOnly(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	if err := os.Remove(s.Path("volume/.drain-owner")); err != nil {
		t.Fatal(err)
	}
	if code, output := s.Output("own.sh"); code != 0 || s.Read("volume/.drain-owner") != "web-5\n" {
		t.Errorf("own.sh ended with %d and has marked the volume %q: %s", code, s.Read("volume/.drain-owner"), output)
	}
	s.Write("volume/.drain-owner", "web-4\n")
	if code, output := s.Output("own.sh"); code != 1 || !strings.Contains(output, "the volume belongs to web-4, and this is web-5") {
		t.Errorf("own.sh ended with %d on another replica's volume: %s", code, output)
	}
}
