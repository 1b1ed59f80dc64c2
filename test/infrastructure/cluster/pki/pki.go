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
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// validity of every certificate; a local cluster doesn't get older.
const validity = 365 * 24 * time.Hour

// Authority signs certificates.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	folder      string
	// CertFile and KeyFile are the authority's own.
	CertFile, KeyFile string
}

// Pair is a certificate and its key on disk.
type Pair struct {
	CertFile, KeyFile string
}

// NewAuthority makes an authority and writes <name>.crt and <name>.key into the folder.
func NewAuthority(folder, name string) (*Authority, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := newTemplate(pkix.Name{CommonName: name})
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	pair, err := writePair(folder, name, der, key)
	if err != nil {
		return nil, err
	}
	return &Authority{certificate: certificate, key: key, folder: folder, CertFile: pair.CertFile, KeyFile: pair.KeyFile}, nil
}

// Subject says whose certificate it is.
type Subject struct {
	// File is the name of the files, without their endings.
	File string
	// User and Groups are what Kubernetes takes a client for.
	User   string
	Groups []string
	// Names are the DNS names and IP addresses that a server answers at. A certificate without any is a client's only.
	Names []string
}

// Issue makes a certificate and writes it with its key.
func (a *Authority) Issue(subject Subject) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	template, err := newTemplate(pkix.Name{CommonName: subject.User, Organization: subject.Groups})
	if err != nil {
		return Pair{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for _, name := range subject.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	if len(subject.Names) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("certificate %s: %w", subject.File, err)
	}
	return writePair(a.folder, subject.File, der, key)
}

// Kubeconfig issues a client certificate and writes a kubeconfig that carries it.
func (a *Authority) Kubeconfig(file, cluster, server string, subject Subject) error {
	pair, err := a.Issue(subject)
	if err != nil {
		return err
	}
	var encoded [3]string
	for i, source := range []string{a.CertFile, pair.CertFile, pair.KeyFile} {
		content, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		encoded[i] = base64.StdEncoding.EncodeToString(content)
	}
	content := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: %[1]s
  cluster:
    server: %[2]s
    certificate-authority-data: %[3]s
users:
- name: %[6]s
  user:
    client-certificate-data: %[4]s
    client-key-data: %[5]s
contexts:
- name: %[1]s
  context:
    cluster: %[1]s
    user: %[6]s
current-context: %[1]s
`, cluster, server, encoded[0], encoded[1], encoded[2], subject.User)
	return os.WriteFile(file, []byte(content), 0o600)
}

// ServiceAccountKeys makes the key pair that signs the tokens of ServiceAccounts: <name>.key and <name>.pub.
func ServiceAccountKeys(folder, name string) (private, public string, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", "", err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", "", err
	}
	private, public = filepath.Join(folder, name+".key"), filepath.Join(folder, name+".pub")
	if err := writePEM(private, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key), 0o600); err != nil {
		return "", "", err
	}
	return private, public, writePEM(public, "PUBLIC KEY", der, 0o644)
}

func newTemplate(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    now.Add(-time.Hour), // clocks that are set back meanwhile
		NotAfter:     now.Add(validity),
	}, nil
}

func writePair(folder, name string, certificate []byte, key *ecdsa.PrivateKey) (Pair, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	pair := Pair{CertFile: filepath.Join(folder, name+".crt"), KeyFile: filepath.Join(folder, name+".key")}
	if err := writePEM(pair.CertFile, "CERTIFICATE", certificate, 0o644); err != nil {
		return Pair{}, err
	}
	return pair, writePEM(pair.KeyFile, "EC PRIVATE KEY", der, 0o600)
}

func writePEM(file, kind string, der []byte, mode os.FileMode) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}
