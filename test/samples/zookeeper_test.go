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

package samples

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// newZooKeeper is a member that left with two files on its volume, and a client that tells what is in the file config.
func newZooKeeper(t *testing.T) *stage {
	s := newStage(t, "zookeeper", map[string]string{
		"/var/lib/zookeeper": "volume", "/archive": "archive", "/usr/lib/jvm/default-java/bin/java": "bin/java", "/etc/zk": "scripts",
	}, map[string]string{
		"hostname": `echo 127.1.0.5`,
		"getent":   `[[ ! -e $state/no-dns ]] && echo "127.1.0.1 STREAM"`,
		"java":     `cat >>$state/commands; . $state/client`,
	})
	s.env = append(s.env, "ZK_SUPERUSER_PASSWORD=secret")
	s.write("state/client", "printf 'server.1=a\nserver.2=b\nversion=100000007\n'\n")
	s.write("volume/.drain-owner", "web-5\n")
	if err := os.MkdirAll(s.path("volume/data/version-2"), 0o750); err != nil {
		t.Fatal(err)
	}
	s.write("volume/data/version-2/snapshot.1", "a snapshot")
	s.write("volume/data/version-2/log.1", strings.Repeat("transactions\x00", 1000))
	return s
}

// archives are the names in the archive, by their endings.
func (s *stage) archives(pattern string) []string {
	s.t.Helper()
	names, err := filepath.Glob(s.path(filepath.Join("archive", pattern)))
	if err != nil {
		s.t.Fatal(err)
	}
	return names
}

func TestZooKeeperLeaves(t *testing.T) {
	t.Parallel()
	s := newZooKeeper(t)
	for range 2 { // A second run finds what was done.
		s.expect("leave.sh", "", 0, "removed server.6, 2 members remain; archived 2 files in web-5-")
	}
	if got := s.archives("*.tar.gz"); len(got) != 1 {
		t.Errorf("archives = %q", got)
	}
	s.write("volume/data/version-2/log.1", "other transactions, of a later life")
	s.expect("leave.sh", "", 0, "archived 2 files in web-5-")
	if got := s.archives("*.tar.gz"); len(got) != 2 {
		t.Errorf("archives = %q, want one for each content", got)
	}
}

func TestZooKeeperSetsACorruptArchiveAside(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(content []byte) []byte{
		"empty":         func([]byte) []byte { return nil },
		"half":          func(content []byte) []byte { return content[:len(content)/2] },
		"a flipped bit": func(content []byte) []byte { content[len(content)/2] ^= 1; return content },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newZooKeeper(t)
			s.expect("leave.sh", "", 0, "archived 2 files")
			file := s.archives("*.tar.gz")[0]
			good, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, damage(good), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file+".part", []byte("of a run that was killed"), 0o400); err != nil {
				t.Fatal(err)
			}
			s.expect("leave.sh", "", 0, "the archive of that name was corrupt, see "+filepath.Base(file)+".corrupt-")
			if got := s.archives("*.corrupt-*"); len(got) != 1 {
				t.Errorf("set aside = %q", got)
			}
			s.expect("leave.sh", "", 0, "archived 2 files in "+filepath.Base(file)+"\n")
		})
	}
}

func TestZooKeeperFailsInTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*stage)
		want   string
	}{
		"an empty folder":           {func(s *stage) { _ = os.Remove(s.path("volume/.drain-owner")) }, "web-5 has never started on it"},
		"the volume of another Pod": {func(s *stage) { s.write("volume/.drain-owner", "web-4\n") }, "this is the volume of web-4"},
		"members that keep it": {func(s *stage) {
			s.write("state/client", "printf 'server.1=a\nserver.6=f\nversion=100000007\nKeeperErrorCode = NewConfigNoQuorum\n'\n")
		}, "server.6 is still a member after 1 s: KeeperErrorCode = NewConfigNoQuorum"},
		"members that don't answer": {func(s *stage) { s.write("state/client", "exit 1\n") }, "server.6 is still a member after 1 s"},
		"an archive that can't be written": {func(s *stage) {
			s.program("bin/tar", "#!/bin/sh\necho 'tar: No space left on device' >&2\nexit 2\n")
		}, "the archive can't be written: tar: No space left on device"},
		"an archive that doesn't hold it": {func(s *stage) {
			s.program("bin/tar", "#!/bin/bash\nif [[ $1 == --create ]]; then touch \"$5\"; fi\n")
		}, "the archive doesn't give back what was written to it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newZooKeeper(t)
			test.change(s)
			s.expect("leave.sh", "", 1, test.want)
		})
	}
}

func TestZooKeeperStopsAtOnce(t *testing.T) {
	t.Parallel()
	s := newZooKeeper(t)
	s.env = append(s.env, "PATIENCE_SECONDS=600")
	s.write("state/client", "touch $state/asked; exec sleep 60\n")
	s.expect("leave.sh", "state/asked", 143, "told to stop before it was done")
}

// A member that sees no others may be the first, or DNS fails. It is not for it to say.
func TestZooKeeperFoundsNothingByItself(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		dns  bool
		want string
	}{
		"when DNS fails":                 {false, "This founds no ensemble: the members can't be looked up"},
		"when no other member answers":   {true, ""},
		"when there is data on a volume": {true, "This founds no ensemble: there is data on the volume"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newZooKeeper(t)
			if !test.dns {
				s.write("state/no-dns", "")
			}
			if !strings.Contains(test.want, "data") {
				if err := os.RemoveAll(s.path("volume/data")); err != nil {
					t.Fatal(err)
				}
				s.expect("start.sh", "", 1, "there was no ensemble to join for 1 s")
				s.expectNot("volume/members/zoo.cfg", "start.sh has made a list of members")
				s.expectNot("volume/data/version-2", "a server was started")
			}
			if test.want == "" {
				return
			}
			code, output := s.output("found.sh")
			if code != 1 || !strings.Contains(output, test.want) {
				t.Errorf("found.sh exited with %d: %s", code, output)
			}
			s.expectNot("volume/members/founded", "found.sh has founded an ensemble")
		})
	}
}
