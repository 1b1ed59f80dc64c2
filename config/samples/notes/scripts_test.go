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

// Package notes tests the scripts of this recipe, with stand-ins for the programs that they start. With real servers they run in test/e2e.
package notes

import (
	"os"
	"testing"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/stage"
)

// newReplica is an orphaned replica with two notes, and two replicas that remain. The stand-in for wget keeps what is posted to a replica in
// state/<host>, a folder that is there if the replica answers.
func newReplica(t *testing.T) *stage.Stage {
	s := stage.New(t, map[string]string{"/data": "volume", "/tmp/answer": "state/answer"}, map[string]string{
		"wget": `
			[ "$1 $2 $4" = "-q -O --post-file" ] || exit 9
			host=${6#http://} host=${host%%:*} name=${6##*\?}
			[ -d "$state/$host" ] || exit 1
			[ ! -e "$state/$host/$name" ] || cmp -s "$5" "$state/$host/$name" || exit 1
			cp "$5" "$state/$host/$name"
			[ ! -e "$state/garble" ] || echo garbled >"$state/$host/$name"
			sha256sum <"$state/$host/$name" >"$3"`,
	})
	s.Env = append(s.Env, "DRAIN_POD_NAME=notes-2", "DRAIN_PEERS=notes-0.notes.shop.svc,notes-1.notes.shop.svc")
	s.Write("volume/owner", "notes-2\n")
	for _, folder := range []string{"volume/notes", "state/notes-1.notes.shop.svc"} {
		if err := os.MkdirAll(s.Path(folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.Write("volume/notes/milk", "buy milk")
	s.Write("volume/notes/bread.txt", "buy bread\n")
	return s
}

func TestNotesMove(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	for range 2 { // A second run confirms what was moved.
		s.Expect("drain.sh", "", 0, "moved 2 notes")
	}
	for name, want := range map[string]string{"milk": "buy milk", "bread.txt": "buy bread\n"} {
		if got, err := os.ReadFile(s.Path("state/notes-1.notes.shop.svc/" + name)); err != nil || string(got) != want {
			t.Errorf("note %s is %q, %v at the replica that remains, want %q", name, got, err, want)
		}
	}
}

func TestAReplicaWithoutNotesIsDrained(t *testing.T) {
	t.Parallel()
	s := newReplica(t)
	if err := os.RemoveAll(s.Path("volume/notes")); err != nil {
		t.Fatal(err)
	}
	s.Expect("drain.sh", "", 0, "moved 0 notes")
}

func TestNotesThatCannotMoveFailTheDrain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		given func(*stage.Stage)
		want  string
	}{
		"no replica answers": {func(s *stage.Stage) {
			if err := os.RemoveAll(s.Path("state/notes-1.notes.shop.svc")); err != nil {
				t.Fatal(err)
			}
		}, "no replica took the note 'bread.txt'"},
		"another note has the name":           {func(s *stage.Stage) { s.Write("state/notes-1.notes.shop.svc/milk", "drink milk") }, "no replica took the note 'milk' (1 moved before)"},
		"the replica has other bytes on disk": {func(s *stage.Stage) { s.Write("state/garble", "") }, "no replica took the note"},
		"a name that no replica takes":        {func(s *stage.Stage) { s.Write("volume/notes/two words", "x") }, "note 'two words' has a name"},
		"a name that starts with a dot":       {func(s *stage.Stage) { s.Write("volume/notes/.hidden", "x") }, "note '.hidden' has a name"},
		"the volume of another replica":       {func(s *stage.Stage) { s.Write("volume/owner", "notes-1\n") }, "the volume is not that of notes-2"},
		"an empty volume":                     {func(s *stage.Stage) { _ = os.RemoveAll(s.Path("volume")) }, "the volume is not that of notes-2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newReplica(t)
			tc.given(s)
			s.Expect("drain.sh", "", 1, tc.want)
		})
	}
}
