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

package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestIssue(t *testing.T) {
	folder := t.TempDir()
	authority, err := NewAuthority(folder, "ca")
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewAuthority(folder, "other-ca")
	if err != nil {
		t.Fatal(err)
	}
	server, err := authority.Issue(Subject{File: "server", User: "server", Names: []string{"127.0.0.1", "server.example"}})
	if err != nil {
		t.Fatal(err)
	}
	client, err := authority.Issue(Subject{File: "client", User: "system:node:node-1", Groups: []string{"system:nodes"}})
	if err != nil {
		t.Fatal(err)
	}

	parse := func(pair Pair) *x509.Certificate {
		loaded, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		certificate, err := x509.ParseCertificate(loaded.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return certificate
	}
	verify := func(certificate *x509.Certificate, by *Authority, usage x509.ExtKeyUsage) error {
		roots := x509.NewCertPool()
		roots.AddCert(by.certificate)
		_, err := certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}})
		return err
	}

	served := parse(server)
	if err := verify(served, authority, x509.ExtKeyUsageServerAuth); err != nil {
		t.Error(err)
	}
	if err := served.VerifyHostname("127.0.0.1"); err != nil || len(served.IPAddresses) != 1 || !served.IPAddresses[0].Equal(net.IPv4(127, 0, 0, 1)) {
		t.Errorf("got addresses %v, %v", served.IPAddresses, err)
	}
	if err := served.VerifyHostname("server.example"); err != nil {
		t.Error(err)
	}
	if err := verify(served, other, x509.ExtKeyUsageServerAuth); err == nil {
		t.Error("another authority vouches for it")
	}
	node := parse(client)
	if err := verify(node, authority, x509.ExtKeyUsageClientAuth); err != nil {
		t.Error(err)
	}
	if err := verify(node, authority, x509.ExtKeyUsageServerAuth); err == nil {
		t.Error("a client may serve")
	}
	if node.Subject.CommonName != "system:node:node-1" || node.Subject.Organization[0] != "system:nodes" {
		t.Errorf("got subject %v", node.Subject)
	}
	if info, err := os.Stat(client.KeyFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key has %v, %v", info, err)
	}
}

func TestKubeconfig(t *testing.T) {
	folder := t.TempDir()
	authority, err := NewAuthority(folder, "ca")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "kubeconfig")
	if err := authority.Kubeconfig(file, "thing", "https://10.0.0.1:6443", Subject{File: "admin", User: "admin", Groups: []string{"system:masters"}}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"server: https://10.0.0.1:6443\n", "current-context: thing\n", "user: admin\n", "client-key-data: L"} {
		if !strings.Contains(string(content), want) {
			t.Errorf("no %q in\n%s", want, content)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("it has %v, %v", info, err)
	}
}
