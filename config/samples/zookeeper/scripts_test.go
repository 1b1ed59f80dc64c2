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

// Package zookeeper tests the scripts of this recipe, with stand-ins for the programs that they start. With real servers they run in test/e2e.
package zookeeper

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/statefulset-dev/drain-operator/config/samples/internal/stage"
)

// newZooKeeper is a member that left with two files on its volume, and a client that tells what is in the file config.
func newZooKeeper(t *testing.T) *stage.Stage {
	s := stage.New(t, map[string]string{
		"/var/lib/zookeeper": "volume", "/archive": "archive", "/usr/lib/jvm/default-java/bin/java": "bin/java", "/etc/zk": "scripts",
	}, map[string]string{
		"hostname": `echo 127.1.0.5`,
		"getent":   `[[ ! -e $state/no-dns ]] && echo "127.1.0.1 STREAM"`,
		"java":     `cat >>$state/commands; . $state/client`,
	})
	s.Env = append(s.Env, "ZK_SUPERUSER_PASSWORD=secret")
	s.Write("state/client", "printf 'server.1=a\nserver.2=b\nversion=100000007\n'\n")
	s.Write("volume/.drain-owner", "web-5\n")
	if err := os.MkdirAll(s.Path("volume/data/version-2"), 0o750); err != nil {
		t.Fatal(err)
	}
	s.Write("volume/data/version-2/snapshot.1", "a snapshot")
	s.Write("volume/data/version-2/log.1", strings.Repeat("transactions\x00", 1000))
	return s
}

// archives returns the names in the archive, by their endings.
func archives(t *testing.T, s *stage.Stage, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(s.Path(filepath.Join("archive", pattern)))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestZooKeeperLeaves(t *testing.T) {
	t.Parallel()
	s := newZooKeeper(t)
	for range 2 { // A second run finds what was done.
		s.Expect("leave.sh", "", 0, "removed server.6, 2 members remain; archived 2 files in web-5-")
	}
	if got := archives(t, s, "*.tar.gz"); len(got) != 1 {
		t.Errorf("archives = %q", got)
	}
	s.Write("volume/data/version-2/log.1", "other transactions, of a later life")
	s.Expect("leave.sh", "", 0, "archived 2 files in web-5-")
	if got := archives(t, s, "*.tar.gz"); len(got) != 2 {
		t.Errorf("archives = %q, want one for each content", got)
	}
}

func TestZooKeeperSetsACorruptArchiveAside(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(content []byte) []byte{
		"empty": func([]byte) []byte { return nil },
		"half":  func(content []byte) []byte { return content[:len(content)/2] },
		// In the checksum at the end: in a run of zeros, another bit can mean the same.
		"a flipped bit": func(content []byte) []byte { content[len(content)-8] ^= 1; return content },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newZooKeeper(t)
			s.Expect("leave.sh", "", 0, "archived 2 files")
			file := archives(t, s, "*.tar.gz")[0]
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
			s.Expect("leave.sh", "", 0, "the archive of that name was corrupt, see "+filepath.Base(file)+".corrupt-")
			if got := archives(t, s, "*.corrupt-*"); len(got) != 1 {
				t.Errorf("set aside = %q", got)
			}
			s.Expect("leave.sh", "", 0, "archived 2 files in "+filepath.Base(file)+"\n")
		})
	}
}

func TestZooKeeperFailsInTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*stage.Stage)
		want   string
	}{
		"an empty folder":           {func(s *stage.Stage) { _ = os.Remove(s.Path("volume/.drain-owner")) }, "web-5 has never started on it"},
		"the volume of another Pod": {func(s *stage.Stage) { s.Write("volume/.drain-owner", "web-4\n") }, "this is the volume of web-4"},
		"members that keep it": {func(s *stage.Stage) {
			s.Write("state/client", "printf 'server.1=a\nserver.6=f\nversion=100000007\nKeeperErrorCode = NewConfigNoQuorum\n'\n")
		}, "server.6 is still a member after 1 s: KeeperErrorCode = NewConfigNoQuorum"},
		"members that don't answer": {func(s *stage.Stage) { s.Write("state/client", "exit 1\n") }, "server.6 is still a member after 1 s"},
		"an archive that can't be written": {func(s *stage.Stage) {
			s.Program("bin/tar", "#!/bin/sh\necho 'tar: No space left on device' >&2\nexit 2\n")
		}, "the archive can't be written: tar: No space left on device"},
		"an archive that doesn't hold it": {func(s *stage.Stage) {
			s.Program("bin/tar", "#!/bin/bash\nif [[ $1 == --create ]]; then touch \"$5\"; fi\n")
		}, "the archive doesn't give back what was written to it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newZooKeeper(t)
			test.change(s)
			s.Expect("leave.sh", "", 1, test.want)
		})
	}
}

func TestZooKeeperStopsAtOnce(t *testing.T) {
	t.Parallel()
	s := newZooKeeper(t)
	s.Env = append(s.Env, "PATIENCE_SECONDS=600")
	s.Write("state/client", "touch $state/asked; exec sleep 60\n")
	s.Expect("leave.sh", "state/asked", 143, "told to stop before it was done")
}

// newMember is a member that runs, web-5, and two that stay. What one of them answers to a four-letter word is in the file <word>-<host>.
func newMember(t *testing.T, action string) *stage.Stage {
	s := newZooKeeper(t)
	s.Env = append(s.Env, "DRAIN_ACTION="+action, "DRAIN_SERVICE=web-hs")
	s.Program("bin/timeout", `#!/usr/bin/env bash
if [[ "$1 $2" == "3 bash" ]]; then exec cat "`+s.Path("state")+`/$6-$5"; fi
exec /usr/bin/timeout "$@"
`)
	if err := os.RemoveAll(s.Path("volume")); err != nil { // The Job has no claim.
		t.Fatal(err)
	}
	return s
}

const (
	twoMembers = "server.1=web-0.web-hs.shop.svc.cluster.local:2888:3888:participant;0.0.0.0:2181\n" +
		"server.2=web-1.web-hs.shop.svc.cluster.local:2888:3888:participant;0.0.0.0:2181\n"
	ownLine = "server.6=web-5.web-hs.shop.svc.cluster.local:2888:3888:participant;0.0.0.0:2181"
)

func TestZooKeeperMemberLeavesAlive(t *testing.T) {
	t.Parallel()
	s := newMember(t, "leave")
	s.Write("state/conf-127.1.0.1", twoMembers+ownLine+"\n")
	s.Write("state/client", `if grep -q 'reconfig -remove 6' $state/commands; then
  printf 'server.1=a\nserver.2=b\nversion=100000007\n'
  printf 'server.1=a\n' >$state/conf-127.1.0.1
fi
`)
	for range 2 { // A second run finds what was done.
		s.Expect("member.sh", "", 0, "removed server.6, 2 members remain, and the server of web-5 still runs")
	}
	if got := strings.Count(s.Read("state/commands"), "reconfig -remove 6"); got != 1 {
		t.Errorf("the member was removed %d times", got)
	}
}

func TestZooKeeperMemberLeavesInTimeOrFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*stage.Stage)
		want   string
	}{
		"the last member": {func(s *stage.Stage) { s.Env = append(s.Env, "DRAIN_PEERS=") }, "no member would remain beside server.6"},
		"members that keep it": {func(s *stage.Stage) {
			s.Write("state/client", "printf 'server.6=f\nversion=100000007\nKeeperErrorCode = NewConfigNoQuorum\n'\n")
		}, "server.6 is still a member after 1 s: KeeperErrorCode = NewConfigNoQuorum"},
		"members that don't answer": {func(s *stage.Stage) { s.Write("state/client", "exit 1\n") }, "server.6 is still a member after 1 s"},
		"an action that is unknown": {func(s *stage.Stage) { s.Env = append(s.Env, "DRAIN_ACTION=dance") }, "there is no action dance"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newMember(t, "leave")
			test.change(s)
			s.Expect("member.sh", "", 1, test.want)
		})
	}
}

func TestZooKeeperMemberStopsAtOnce(t *testing.T) {
	t.Parallel()
	s := newMember(t, "leave")
	s.Env = append(s.Env, "PATIENCE_SECONDS=600")
	s.Write("state/client", "touch $state/asked; exec sleep 60\n")
	s.Expect("member.sh", "state/asked", 143, "told to stop before it was done")
}

func TestZooKeeperMemberJoinsAgain(t *testing.T) {
	t.Parallel()
	s := newMember(t, "rejoin")
	s.Write("state/ruok-web-5.web-hs", "imok")
	s.Write("state/srvr-web-5.web-hs", "Mode: follower\n") // It follows without a vote, so this alone says nothing.
	s.Write("state/conf-127.1.0.2", twoMembers)
	s.Write("state/client", `if grep -qF 'reconfig -add `+ownLine+`' $state/commands; then
  printf '`+ownLine+`\n' >>$state/conf-127.1.0.2
  cp $state/conf-127.1.0.2 $state/conf-web-5.web-hs
fi
`)
	for range 2 { // A second run finds what was done.
		s.Expect("member.sh", "", 0, "server.6 is a member again, and serves")
	}
	if got := strings.Count(s.Read("state/commands"), "reconfig -add"); got != 1 {
		t.Errorf("the member was added %d times", got)
	}
}

func TestZooKeeperMemberJoinsInTimeOrFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files map[string]string
		want  string
		added bool
	}{
		"a member without a server":     {map[string]string{"conf-127.1.0.2": twoMembers}, "its server doesn't answer", false},
		"members that don't answer":     {map[string]string{"ruok-web-5.web-hs": "imok"}, "the members don't answer", false},
		"a member that doesn't keep up": {map[string]string{"ruok-web-5.web-hs": "imok", "conf-127.1.0.2": twoMembers}, "KeeperErrorCode = NewConfigNoQuorum", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newMember(t, "rejoin")
			s.Write("state/client", "echo 'KeeperErrorCode = NewConfigNoQuorum'\n")
			for file, text := range test.files {
				s.Write("state/"+file, text)
			}
			s.Expect("member.sh", "", 1, "server.6 doesn't serve as a member after 1 s: "+test.want)
			if got := strings.Contains(s.Read("state/commands"), "reconfig -add"); got != test.added {
				t.Errorf("it was added: %t, want %t", got, test.added)
			}
		})
	}
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
				s.Write("state/no-dns", "")
			}
			if !strings.Contains(test.want, "data") {
				if err := os.RemoveAll(s.Path("volume/data")); err != nil {
					t.Fatal(err)
				}
				s.Expect("start.sh", "", 1, "there was no ensemble to join for 1 s")
				s.ExpectNot("volume/members/zoo.cfg", "start.sh has made a list of members")
				s.ExpectNot("volume/data/version-2", "a server was started")
			}
			if test.want == "" {
				return
			}
			code, output := s.Output("found.sh")
			if code != 1 || !strings.Contains(output, test.want) {
				t.Errorf("found.sh exited with %d: %s", code, output)
			}
			s.ExpectNot("volume/members/founded", "found.sh has founded an ensemble")
		})
	}
}
