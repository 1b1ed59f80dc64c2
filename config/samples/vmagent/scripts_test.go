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

// Package vmagent tests the scripts of this recipe, with stand-ins for the programs that they start. With real servers they run in test/e2e.
package vmagent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/stage"
)

const (
	queue   = "volume/queue/persistent-queue/1_00000000000000AB"
	offsets = `{"Name":"1:secret-url","ReaderOffset":100,"WriterOffset":300}`
	empty   = `{"Name":"1:secret-url","ReaderOffset":300,"WriterOffset":300}`
)

// newReplica is an orphaned replica whose queue has 200 bytes in two blocks. The stand-in for vmagent opens the queue that state/folder names,
// counts what state/counted says, and leaves state/left as metainfo.json when it is stopped.
func newReplica(t *testing.T) *stage.Stage {
	s := stage.New(t, map[string]string{"/data": "volume", "/tmp/vmagent.log": "state/log", "/tmp/metrics": "state/answer"}, map[string]string{
		"hostname": `echo web-5`,
		"vmagent": `
			echo "$*" >>"$state/flags"
			[ ! -e "$state/warning" ] || printf '2026-11-26T10:00:00Z\twarn\tclient.go:1\t%s\n' "$(cat "$state/warning")"
			[ ! -e "$state/crash" ] || exit 3
			for arg; do case $arg in -remoteWrite.tmpDataPath=*) path=${arg#*=} ;; esac; done
			folder=$path/persistent-queue/$(cat "$state/folder")
			mkdir -p "$folder"
			trap 'cp "$state/left" "$folder/new" && mv "$folder/new" "$folder/metainfo.json"; exit "$(cat "$state/status")"' TERM
			touch "$state/running"
			while :; do sleep 1 & wait $!; done`,
		"wget": `
			[ "$1 $2" = "-q -O" ] || exit 9
			case $4 in
			http://127.0.0.1:8429/metrics) [ -e "$state/running" ] && cat "$state/counted" >"$3" ;;
			http://storage/metrics) [ -e "$state/uptime" ] && cat "$state/uptime" >"$3" ;;
			*) exit 9 ;;
			esac`,
	})
	s.Env = append(s.Env, "REMOTE_WRITE_URL=http://storage/write", "REMOTE_METRICS_URL=http://storage/metrics", "SETTLE_SECONDS=0",
		"PATIENCE_SECONDS=20")
	if err := os.MkdirAll(s.Path(queue), 0o755); err != nil {
		t.Fatal(err)
	}
	s.Write("volume/.drain-owner", "web-5\n")
	s.Write(queue+"/metainfo.json", offsets)
	s.Write(queue+"/flock.lock", "")
	s.Write(queue+"/0000000000000000", strings.Repeat("x", 300))
	s.Write("state/folder", "1_00000000000000AB")
	s.Write("state/left", empty)
	s.Write("state/status", "0")
	s.Write("state/uptime", "vm_app_uptime_seconds 3600\n")
	count(s, nil)
	return s
}

// count writes what vmagent counts: two blocks of 92 bytes were read and sent, but for the changes.
func count(s *stage.Stage, changes map[string]string) {
	var text strings.Builder
	for _, metric := range [][2]string{
		{`vm_persistentqueue_bytes_read_total{path="p", name="1:secret-url"}`, "184"},
		{`vm_persistentqueue_blocks_read_total{path="p", name="1:secret-url"}`, "2"},
		{`vm_persistentqueue_blocks_dropped_total{path="p", name="1:secret-url"}`, "0"},
		{`vmagent_remotewrite_packets_dropped_total{url="1:secret-url"}`, "0"},
		{`vmagent_remotewrite_blocks_sent_total{url="1:secret-url"}`, "2"},
		{`vmagent_remotewrite_bytes_sent_total{url="1:secret-url"}`, "184"},
		{`vmagent_remotewrite_pending_data_bytes{path="` + s.Path("volume/drain/persistent-queue/1_00000000000000AB") + `", url="1:secret-url"}`, "0"},
	} {
		name, _, _ := strings.Cut(metric[0], "{")
		value, changed := changes[name]
		switch {
		case !changed:
			value = metric[1]
		case value == "":
			continue // vmagent lacks it.
		}
		text.WriteString(metric[0] + " " + value + "\n")
	}
	s.Write("state/counted", text.String())
}

func TestTheQueueIsSent(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	s.Expect("drain.sh", "", 0, "sent 184 bytes in 2 blocks, nothing is left")
	flags := s.Read("state/flags")
	for _, want := range []string{"-remoteWrite.url=http://storage/write ", "-httpListenAddr=127.0.0.1:8429 ",
		"-remoteWrite.keepDanglingQueues", "-remoteWrite.tmpDataPath=" + s.Path("volume/drain") + " "} {
		if !strings.Contains(flags, want) {
			t.Errorf("vmagent has the flags %q, and not %s", flags, want)
		}
	}
	if got := s.Read(queue + "/metainfo.json"); got != empty {
		t.Errorf("the queue on the volume has %s, want an empty one, so that nothing is sent again", got)
	}
	s.ExpectNot("volume/sent", "what was sent is still on the volume")
}

func TestAReplicaWithAnEmptyQueueIsDrained(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	s.Write(queue+"/metainfo.json", empty)
	count(s, map[string]string{"vm_persistentqueue_bytes_read_total": "0", "vm_persistentqueue_blocks_read_total": "0",
		"vmagent_remotewrite_blocks_sent_total": "0", "vmagent_remotewrite_bytes_sent_total": "0"})
	for range 2 { // Another run finds the same.
		_ = os.Remove(s.Path("state/running")) // Only the vmagent of this run answers.
		s.Expect("drain.sh", "", 0, "sent 0 bytes in 0 blocks, nothing is left")
	}
}

func TestADrainThatIsStoppedLeavesTheQueueAsItWas(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	count(s, map[string]string{"vmagent_remotewrite_blocks_sent_total": "1"}) // One block is on its way.
	s.Expect("drain.sh", "state/running", 143, "")
	if got := s.Read(queue + "/metainfo.json"); got != offsets {
		t.Errorf("the queue has %s after a drain that was stopped, want %s", got, offsets)
	}
	count(s, nil)
	_ = os.Remove(s.Path("state/running")) // Only the vmagent of this run answers.
	s.Expect("drain.sh", "", 0, "sent 184 bytes")
}

func TestTheOffsetsOfAKilledVmagentAreReported(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	s.Write("volume/queue/.vm_app_running", "")
	s.Write(queue+"/0000000000000000", strings.Repeat("x", 377))
	s.Expect("drain.sh", "", 0, "nothing is left; vmagent had been killed on this volume, so it has lost what it had in memory, and 77 bytes on disk")
}

// TestAQueueOfSeveralFilesIsMeasured has a file that was read already, one that is read in part, a gap that vmagent leaves at the end of a
// file, and the file that is written to.
func TestAQueueOfSeveralFilesIsMeasured(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	s.Write(queue+"/0000000000000000", strings.Repeat("x", 1000))
	s.Write(queue+"/0000000000000500", strings.Repeat("x", 1000)) // From 1280 to 2280.
	s.Write(queue+"/0000000000000A00", strings.Repeat("x", 60))   // From 2560 to 2620.
	s.Write(queue+"/metainfo.json", `{"Name":"1:secret-url","ReaderOffset":2140,"WriterOffset":2620}`)
	s.Expect("drain.sh", "", 0, "sent 184 bytes") // 140 and 60 bytes: those that vmagent counts, and two headers.
}

func TestWhatIsLeftFailsTheDrain(t *testing.T) {
	t.Parallel()
	counted := func(metric, value string) func(*stage.Stage) {
		return func(s *stage.Stage) { count(s, map[string]string{metric: value}) }
	}
	written := func(file, text string) func(*stage.Stage) { return func(s *stage.Stage) { s.Write(file, text) } }
	removed := func(name string) func(*stage.Stage) { return func(s *stage.Stage) { _ = os.RemoveAll(s.Path(name)) } }
	for name, tc := range map[string]struct {
		given func(*stage.Stage)
		want  string
		// impatient is for what the drain waits for.
		impatient bool
		// early says that vmagent must not have been started.
		early bool
	}{
		"a block is on its way": {
			given: counted("vmagent_remotewrite_blocks_sent_total", "1"), impatient: true,
			want: "no block was sent for 4 s, 184 of 200 bytes before",
		},
		"bytes are pending": {
			given: counted("vmagent_remotewrite_pending_data_bytes", "1.2e+06"), impatient: true,
			want: "no block was sent for 4 s",
		},
		"the storage refuses a block": {
			given: func(s *stage.Stage) {
				s.Write("state/warning", "sending a block was rejected: status code 400")
				count(s, map[string]string{"vmagent_remotewrite_packets_dropped_total": "1"})
			},
			want: "the remote storage refused 1 blocks, which vmagent drops: sending a block was rejected: status code 400",
		},
		"the queue overflows": {given: counted("vm_persistentqueue_blocks_dropped_total", "1"), want: "1 blocks"},
		"vmagent skips what it can't read": {
			given: func(s *stage.Stage) {
				count(s, map[string]string{"vm_persistentqueue_bytes_read_total": "92", "vm_persistentqueue_blocks_read_total": "1",
					"vmagent_remotewrite_blocks_sent_total": "1"})
			},
			want: "vmagent has read 100 of the 200 bytes in the queue",
		},
		"another version of vmagent lacks a metric": {
			given: counted("vmagent_remotewrite_packets_dropped_total", ""), want: "vmagent lacks one of the metrics of its queue",
		},
		"vmagent ends early":       {given: written("state/crash", ""), want: "vmagent has ended"},
		"vmagent ends with errors": {given: written("state/status", "2"), want: "vmagent has ended with 2"},
		"vmagent puts a block back at its end": {
			given: written("state/left", offsets), want: "200 bytes are left in the queue 1_00000000000000AB after vmagent has ended",
		},
		"the storage is away": {
			given: removed("state/uptime"), impatient: true, early: true,
			want: "the remote storage doesn't answer at http://storage/metrics",
		},
		"the storage restarts meanwhile": {
			given: written("state/uptime", "vm_app_uptime_seconds -1\n"), want: "the remote storage has restarted during the drain",
		},
		"vmagent makes an empty queue for another URL": {
			given: written("state/folder", "1_00000000000000CD"), want: "vmagent has another queue, 1_00000000000000CD, than the volume",
		},
		"a second queue is that of a URL that was removed": {
			given: func(s *stage.Stage) {
				if err := os.CopyFS(s.Path(filepath.Dir(queue)+"/2_00000000000000EF"), os.DirFS(s.Path(queue))); err != nil {
					panic(err)
				}
			},
			want: "200 bytes are in the queue 2_00000000000000EF, of a URL that is not REMOTE_WRITE_URL",
		},
		// With these, vmagent would delete the queue and start with an empty one.
		"metainfo.json is missing": {given: removed(queue + "/metainfo.json"), early: true, want: "its metainfo.json can't be read"},
		"metainfo.json is cut off": {given: written(queue+"/metainfo.json", offsets[:40]), early: true, want: "its metainfo.json can't be read"},
		"a file is too short":      {given: written(queue+"/0000000000000000", "xxx"), early: true, want: "files are missing or too short"},
		"a file is missing":        {given: removed(queue + "/0000000000000000"), early: true, want: "files are missing or too short"},

		"the volume of another replica":            {given: written("volume/.drain-owner", "web-4\n"), early: true, want: "of web-5 on this volume"},
		"an empty volume":                          {given: removed("volume"), early: true, want: "of web-5 on this volume"},
		"a volume of this replica without a queue": {given: removed("volume/queue"), early: true, want: "there is no queue on this volume"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newReplica(t)
			tc.given(s)
			if tc.impatient {
				s.Env = append(s.Env, "PATIENCE_SECONDS=4")
			}
			s.Expect("drain.sh", "", 1, tc.want)
			if tc.early {
				s.ExpectNot("state/flags", "vmagent was started")
			}
		})
	}
}

func TestADrainThatWasKilledAtItsEndIsRecovered(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"drain.sh", "start.sh"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			s := newReplica(t)
			s.Write("state/crash", "") // What the scripts did to the volume before vmagent is of interest.
			if err := os.Rename(s.Path("volume/queue"), s.Path("volume/sent")); err != nil {
				t.Fatal(err)
			}
			s.Output(script)
			if got := s.Read(queue + "/metainfo.json"); got != offsets {
				t.Errorf("after a drain that was killed between its last steps, the queue has %q, want %s", got, offsets)
			}
			s.ExpectNot("volume/sent", "there are two queues")
		})
	}
}

func TestAReplicaStartsOnItsOwnVolumeOnly(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	s.Write("state/crash", "")
	if err := os.Remove(s.Path("volume/.drain-owner")); err != nil {
		t.Fatal(err)
	}
	if code, output := s.Output("start.sh"); code != 3 { // That of the stand-in for vmagent.
		t.Errorf("start.sh ended with %d: %s", code, output)
	}
	if got := s.Read("volume/.drain-owner"); got != "web-5\n" {
		t.Errorf("the volume is marked %q, want web-5", got)
	}
	if flags := s.Read("state/flags"); !strings.Contains(flags, "-remoteWrite.keepDanglingQueues") || !strings.Contains(flags, s.Path("volume/queue")) {
		t.Errorf("vmagent has the flags %q", flags)
	}
	s.Write("volume/.drain-owner", "web-4\n")
	if code, output := s.Output("start.sh"); code != 1 || !strings.Contains(output, "the volume belongs to web-4, and this is web-5") {
		t.Errorf("start.sh ended with %d on another replica's volume: %s", code, output)
	}
}
