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

// Package prometheusthanos tests the scripts of this recipe, with stand-ins for the programs that they start. With real servers they run in test/e2e.
package prometheusthanos

import (
	"os"
	"strings"
	"testing"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/stage"
)

const (
	// shipped and local are blocks on the volume; the sidecar has uploaded the first one. head is the one that a snapshot makes.
	shipped = "01SHIPPED"
	local   = "01LOCAL"
	head    = "01HEAD"
	tsdb    = "volume/tsdb/"
	blocks  = "volume/drain/blocks/"
	config  = "# Comment\nglobal:\n  external_labels:\n    prometheus: ${POD_NAME}\nscrape_configs:\n  - job_name: x\n"
	labels  = `  external_labels:\n    cluster: \"a-1\"\n    prometheus: web-5\n`
)

// newReplica is an orphaned replica with two blocks and a head. The stand-in for Prometheus answers with what the files in state/ say, and makes
// a snapshot of all blocks of its folder and of the head. That for Thanos keeps its store in archive/.
func newReplica(t *testing.T) *stage.Stage {
	s := stage.New(t, map[string]string{
		"/data": "volume", "/tmp": "state", "/etc/prometheus": "config", "/etc/thanos": "config",
	}, map[string]string{
		"hostname": `echo web-5`,
		"sleep":    `exec /usr/bin/sleep 0.1`,
		"prometheus": `
			echo "$*" >"$state/flags"
			[ ! -e "$state/crash" ] || { echo 'level=ERROR msg="no good"'; exit 3; }
			for arg; do case $arg in --storage.tsdb.path=*) path=${arg#*=} ;; esac; done
			trap 'exit "$(cat "$state/status")"' TERM
			echo "$path" >"$state/path.new"; mv "$state/path.new" "$state/path"
			while :; do sleep 1 & wait $!; done`,
		"wget": `
			[ "$1 $2" = "-q -O" ] || exit 9
			out=$3; url=${@: -1}
			[ -e "$state/path" ] || exit 4
			path=$(cat "$state/path")
			case "$*" in
			*/-/ready) [ ! -e "$state/unready" ] ;;
			*/metrics) cat "$state/metrics" >"$out" ;;
			*/api/v1/status/config) printf '%s' "$(cat "$state/config")" >"$out" ;;
			*--post-data=*/api/v1/admin/tsdb/snapshot)
				mkdir -p "$path/snapshots/snap-1"
				for block in "$path"/01*; do cp -r "$block" "$path/snapshots/snap-1/"; done
				[ ! -e "$state/forgotten" ] || rm -r "$path/snapshots/snap-1/$(cat "$state/forgotten")"
				[ ! -e "$state/headless" ] && cp -r "$state/head" "$path/snapshots/snap-1/` + head + `"
				[ ! -e "$state/changing" ] || echo x >"$(cat "$state/changing")"
				echo '{"status":"success","data":{"name":"snap-1"}}' >"$out" ;;
			*) exit 9 ;;
			esac`,
		"thanos": `
			echo "$*" >>"$state/thanos"
			[ ! -e "$state/refused" ] || { echo 'ts=1 level=error err="access denied"' >&2; exit 1; }
			store=$state/../archive
			case "$*" in
			*upload-blocks*)
				label=''
				for arg; do case $arg in --path=*) path=${arg#*=} ;; --label=*) label="$label, \"$(echo "${arg#*=}" | sed 's/=/": /')" ;; esac; done
				for block in "$path"/01*; do
					name=${block##*/}
					[ ! -e "$store/$name" ] || continue
					mkdir "$store/$name"
					cp -r "$block/chunks" "$block/index" "$store/$name/"
					echo "$(cat "$block/meta.json")$label" >"$store/$name/meta.json"
				done ;;
			*" replicate "*)
				for arg; do case $arg in
					--id=*) name=${arg#*=} ;;
					--objstore-to.config-file=*) to=$(sed -n 's/.*directory: //p' "${arg#*=}") ;;
				esac; done
				[ ! -e "$store/$name/meta.json" ] || cp -r "$store/$name" "$to/" ;;
			*" ls --output=json "*) cat "$store"/*/meta.json ;;
			*) exit 9 ;;
			esac`,
	})
	s.Env = append(s.Env, "PATIENCE_SECONDS=20", "POD_NAME=web-5")
	block := func(folder, text, samples string) {
		if err := os.MkdirAll(s.Path(folder+"/chunks"), 0o755); err != nil {
			t.Fatal(err)
		}
		s.Write(folder+"/chunks/000001", text)
		s.Write(folder+"/index", "index of "+text)
		s.Write(folder+"/meta.json", `{"stats": {"numSamples": `+samples+`}}`)
	}
	block(tsdb+shipped, "old", "1000")
	block(tsdb+local, "newer", "200")
	block("state/head", "newest", "30")
	block("archive/01MERGED", "merged", "9000")
	s.Write("archive/01MERGED/meta.json", `{"compaction": {"sources": ["`+shipped+`"]}}`)
	for _, folder := range []string{"config", tsdb + "wal", tsdb + "chunks_head"} {
		if err := os.Mkdir(s.Path(folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.Write(tsdb+"wal/00000000", "log")
	s.Write(tsdb+"thanos.shipper.json", `{"uploaded": ["`+shipped+`"]}`)
	s.Write("volume/.drain-owner", "web-5\n")
	s.Write("config/prometheus.yml", config)
	s.Write("state/status", "0")
	s.Write("state/config", `{"status":"success","data":{"yaml":"global:\n  scrape_interval: 1m\n`+labels+`  runtime:\n    gogc: 75\n"}}`)
	count(s, nil)
	return s
}

// count writes what Prometheus counts, with changes.
func count(s *stage.Stage, changes map[string]string) {
	var text strings.Builder
	for _, metric := range [][2]string{
		{"prometheus_tsdb_wal_corruptions_total", "0"},
		{"prometheus_tsdb_head_truncations_failed_total", "0"},
		{"prometheus_tsdb_mmap_chunk_corruptions_total", "0"},
		{"prometheus_tsdb_compactions_failed_total", "0"},
		{"prometheus_tsdb_head_series", "7"},
		{"prometheus_tsdb_head_chunks", "9"},
	} {
		value, changed := changes[metric[0]]
		switch {
		case !changed:
			value = metric[1]
		case value == "":
			continue // Prometheus lacks it.
		}
		text.WriteString(metric[0] + " " + value + "\n")
	}
	s.Write("state/metrics", text.String())
}

// run runs one of the first two scripts, which leave no receipt, and fails the test unless it ends as wanted and says so.
func run(t *testing.T, s *stage.Stage, script string, wantCode int, want string) {
	t.Helper()
	_ = os.Remove(s.Path("state/path")) // Only the Prometheus of this run answers.
	s.Write("message", "")
	code, output := s.Output(script)
	if code != wantCode || !strings.Contains(output, want) {
		t.Errorf("%s ended with %d, want %d and %q: %s", script, code, wantCode, want, output)
	}
	if message := s.Read("message"); wantCode != 0 && !strings.Contains(message, want) || strings.Contains(message, "receipt-1") {
		t.Errorf("%s left the message %q, want %q and no receipt", script, message, want)
	}
}

func snapshot(t *testing.T, s *stage.Stage) {
	t.Helper()
	run(t, s, "snapshot.sh", 0, "made 1 blocks of the head, which had 7 series; 1 blocks were uploaded before")
}

func upload(t *testing.T, s *stage.Stage) {
	t.Helper()
	run(t, s, "upload.sh", 0, "drain-progress: uploading 2 blocks")
}

func TestTheHeadAndTheBlocksThatTheSidecarHasNotUploadedAreUploaded(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	snapshot(t, s)
	for _, want := range []string{"--storage.tsdb.path=" + s.Path("volume/drain/copy") + " ", "--web.listen-address=127.0.0.1:9090 ",
		"--storage.tsdb.retention.time=100y "} {
		if flags := s.Read("state/flags"); !strings.Contains(flags, want) {
			t.Errorf("Prometheus has the flags %q, and not %s", flags, want)
		}
	}
	if got := s.Read("state/prometheus.yml"); strings.Contains(got, "scrape_configs") || !strings.Contains(got, "prometheus: ${POD_NAME}") {
		t.Errorf("the Prometheus of the drain has the configuration %q, want the global part only", got)
	}
	s.ExpectNot("volume/drain/copy", "the copy is still there")
	upload(t, s)
	for _, want := range []string{`--label=cluster="a-1"`, `--label=prometheus="web-5"`} {
		if flags := s.Read("state/thanos"); !strings.Contains(flags, want) {
			t.Errorf("Thanos has the flags %q, and not %s", flags, want)
		}
	}
	s.ExpectNot("archive/"+shipped, "a block that the sidecar has uploaded was uploaded again")
	s.Expect("verify.sh", "", 0, "uploaded and verified 230 samples in 2 blocks; 1 blocks were uploaded before\n")
	s.ExpectNot("volume/drain/back", "what was read back is still there")
}

func TestAnotherAttemptUploadsTheSameBlocks(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	snapshot(t, s)
	upload(t, s)
	_ = os.Remove(s.Path("state/flags"))
	run(t, s, "snapshot.sh", 0, "the blocks are there already")
	s.ExpectNot("state/flags", "Prometheus was started again")
	upload(t, s)
	s.Expect("verify.sh", "", 0, "uploaded and verified 230 samples in 2 blocks")
}

func TestADatabaseThatHasChangedSinceGetsAnotherSnapshot(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	snapshot(t, s)
	s.Write(tsdb+"wal/00000001", "more")
	snapshot(t, s)
}

func TestAnAttemptThatIsStoppedIsRepeated(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	s.Write("state/unready", "")
	s.Expect("snapshot.sh", "state/path", 143, "")
	s.ExpectNot("volume/drain/complete", "the snapshot counts as complete")
	run(t, s, "upload.sh", 1, "snapshot.sh has not finished")
	if err := os.Remove(s.Path("state/unready")); err != nil {
		t.Fatal(err)
	}
	snapshot(t, s)
	upload(t, s)
	s.Expect("verify.sh", "", 0, "uploaded and verified 230 samples in 2 blocks")
}

func TestAReplicaWithoutSamplesIsDrained(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	for _, name := range []string{shipped, local} {
		if err := os.RemoveAll(s.Path(tsdb + name)); err != nil {
			t.Fatal(err)
		}
	}
	s.Write("state/headless", "")
	count(s, map[string]string{"prometheus_tsdb_head_series": "0", "prometheus_tsdb_head_chunks": "0"})
	run(t, s, "snapshot.sh", 0, "made 0 blocks of the head, which had 0 series; 0 blocks were uploaded before")
	run(t, s, "upload.sh", 0, "uploading 0 blocks")
	s.Expect("verify.sh", "", 0, "uploaded and verified 0 samples in 0 blocks; 0 blocks were uploaded before\n")
}

func TestASnapshotThatMayLackSomethingFails(t *testing.T) {
	t.Parallel()
	counted := func(metric, value string) func(*stage.Stage) {
		return func(s *stage.Stage) { count(s, map[string]string{metric: value}) }
	}
	written := func(file, text string) func(*stage.Stage) { return func(s *stage.Stage) { s.Write(file, text) } }
	removed := func(name string) func(*stage.Stage) { return func(s *stage.Stage) { _ = os.RemoveAll(s.Path(name)) } }
	configured := func(text string) func(*stage.Stage) {
		return func(s *stage.Stage) {
			s.Write("state/config", strings.ReplaceAll(s.Read("state/config"), labels, text))
		}
	}
	for name, tc := range map[string]struct {
		given func(*stage.Stage)
		want  string
		// early says that Prometheus must not have been started.
		early bool
	}{
		"the log is damaged": {given: counted("prometheus_tsdb_wal_corruptions_total", "1"), want: "the write-ahead log is damaged (1)"},
		"chunks are damaged": {given: counted("prometheus_tsdb_mmap_chunk_corruptions_total", "2"), want: "the write-ahead log is damaged (2)"},
		"another version of Prometheus lacks a metric": {
			given: counted("prometheus_tsdb_wal_corruptions_total", ""), want: "the write-ahead log is damaged (unknown)",
		},
		"another version of Prometheus lacks a metric of its head": {
			given: counted("prometheus_tsdb_head_chunks", ""), want: "Prometheus lacks one of the metrics of its head",
		},
		"the snapshot has no head": {given: written("state/headless", ""), want: "the head has 9 chunks, and the snapshot has no block of it"},
		"the snapshot has not all blocks": {
			given: written("state/forgotten", local), want: "the snapshot has not the block 01LOCAL of the volume",
		},
		"Prometheus ends early":         {given: written("state/crash", ""), want: `Prometheus has ended: level=ERROR msg="no good"`},
		"Prometheus ends with an error": {given: written("state/status", "2"), want: "Prometheus has ended with 2"},
		"a pod writes to the database": {
			given: func(s *stage.Stage) { s.Write("state/changing", s.Path(tsdb+"wal/00000001")) },
			want:  "the database has changed during the snapshot",
		},
		"there are samples out of order": {
			given: func(s *stage.Stage) {
				if err := os.Mkdir(s.Path(tsdb+"wbl"), 0o755); err != nil {
					panic(err)
				}
				s.Write(tsdb+"wbl/00000000", "late")
			},
			early: true, want: "there are samples out of order",
		},
		"there are no external labels": {given: configured(""), want: "there are no external_labels in prometheus.yml"},
		"an external label is odd": {
			given: configured(`  external_labels:\n    prometheus: a, b\n`), want: "this script can't read the external label prometheus: a, b",
		},
		"the volume of another replica": {
			given: written("volume/.drain-owner", "web-4\n"), early: true,
			want: "of web-5 on this volume",
		},
		"an empty volume": {given: removed("volume"), early: true, want: "of web-5 on this volume"},
		"a volume of this replica without a database": {
			given: removed("volume/tsdb"), early: true,
			want: "there is no write-ahead log on this volume",
		},
		"a database without a log": {
			given: removed(tsdb + "wal/00000000"), early: true, want: "there is no write-ahead log on this volume",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newReplica(t)
			tc.given(s)
			run(t, s, "snapshot.sh", 1, tc.want)
			s.ExpectNot("volume/drain/complete", "the snapshot counts as complete")
			if tc.early {
				s.ExpectNot("state/flags", "Prometheus was started")
			}
		})
	}
}

func TestOnlyAPersonAcceptsALoss(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	count(s, map[string]string{"prometheus_tsdb_wal_corruptions_total": "1"})
	s.Env = append(s.Env, "ACCEPT_LOSS_OF=web-4")
	run(t, s, "snapshot.sh", 1, "the write-ahead log is damaged (1)")
	s.Env = append(s.Env, "ACCEPT_LOSS_OF=web-5")
	snapshot(t, s)
	upload(t, s)
	s.Expect("verify.sh", "", 0, "in 2 blocks; 1 blocks were uploaded before; accepted: the write-ahead log is damaged (1)")
}

func TestWhatIsNotInTheStoreFailsTheDrain(t *testing.T) {
	t.Parallel()
	written := func(file, text string) func(*stage.Stage) { return func(s *stage.Stage) { s.Write(file, text) } }
	removed := func(name string) func(*stage.Stage) { return func(s *stage.Stage) { _ = os.RemoveAll(s.Path(name)) } }
	for name, tc := range map[string]struct {
		given func(*stage.Stage)
		want  string
	}{
		"a block is missing":           {given: removed("archive/" + head), want: "the block 01HEAD is not in the store"},
		"a block was uploaded in part": {given: removed("archive/" + head + "/meta.json"), want: "the block 01HEAD is not in the store"},
		"a file of a block is missing": {
			given: removed("archive/" + head + "/chunks/000001"),
			want:  "the block 01HEAD in the store has other content",
		},
		"a block has other content": {
			given: written("archive/"+local+"/chunks/000001", "nexer"),
			want:  "the block 01LOCAL in the store has other content",
		},
		"a block has another index": {
			given: written("archive/"+local+"/index", "index"),
			want:  "the block 01LOCAL in the store has other content",
		},
		"a block has fewer samples": {
			given: written("archive/"+head+"/meta.json", `"numSamples": 29, "prometheus": "web-5", "cluster": "a-1"`),
			want:  "another number of samples",
		},
		"a block has another's labels": {
			given: written("archive/"+head+"/meta.json", `"numSamples": 30, "prometheus": "web-4", "cluster": "a-1"`),
			want:  "has not the label prometheus: web-5",
		},
		"the sidecar's block is gone": {
			given: removed("archive/01MERGED"),
			want:  "the block 01SHIPPED, which the sidecar has uploaded, is not in the store any more",
		},
		"the store refuses":             {given: written("state/refused", ""), want: `the blocks in the store failed with 1: "access denied"`},
		"a block on the volume is gone": {given: removed(blocks + local), want: "blocks are missing on the volume"},
		"the volume of another replica": {given: written("volume/.drain-owner", "web-4\n"), want: "of web-5 on this volume"},
		"the snapshot is gone":          {given: removed("volume/drain/complete"), want: "snapshot.sh has not finished"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newReplica(t)
			snapshot(t, s)
			upload(t, s)
			tc.given(s)
			s.Expect("verify.sh", "", 1, tc.want)
		})
	}
}

func TestAnUploadThatIsRefusedFailsWithItsReason(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	snapshot(t, s)
	s.Write("state/refused", "")
	run(t, s, "upload.sh", 1, `uploading 2 blocks failed with 1: "access denied"`)
}

func TestAReplicaTakesItsOwnVolumeOnly(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	if err := os.Remove(s.Path("volume/.drain-owner")); err != nil {
		t.Fatal(err)
	}
	s.Write("message", "")
	if err := os.MkdirAll(s.Path(blocks), 0o755); err != nil {
		t.Fatal(err)
	}
	if code, output := s.Output("own.sh"); code != 0 || s.Read("volume/.drain-owner") != "web-5\n" {
		t.Errorf("own.sh ended with %d and has marked the volume %q: %s", code, s.Read("volume/.drain-owner"), output)
	}
	s.ExpectNot("volume/drain", "what a drain has made is still there, and older than what comes now")
	s.Write("volume/.drain-owner", "web-4\n")
	if code, output := s.Output("own.sh"); code != 1 || !strings.Contains(output, "the volume belongs to web-4, and this is web-5") {
		t.Errorf("own.sh ended with %d on another replica's volume: %s", code, output)
	}
}
