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

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/util/cert"
)

func TestManagerRefusesAFolderWithoutACertificate(t *testing.T) {
	t.Parallel()
	_, err := parse([]string{"--metrics-cert-path=" + t.TempDir()}, io.Discard)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "--metrics-cert-path") {
		t.Errorf("parse() = %v, want an error that names the flag and says that the file doesn't exist", err)
	}
}

func TestMetricsAreServedWithTheCertificateOfTheFlag(t *testing.T) {
	t.Parallel()
	if got := managerOptions(&options{metricsCert: "/certificate", metricsSecure: true}, nil, &watches{}).Metrics.CertDir; got != "/certificate" {
		t.Errorf("CertDir = %q, want that of --metrics-cert-path", got)
	}
}

// TestMetricsAreServedWithARenewedCertificate is what cert-manager does to the files of the Secret, and what Prometheus checks of the answer.
func TestMetricsAreServedWithARenewedCertificate(t *testing.T) {
	const name = "drain-operator-controller-manager-metrics.drain-operator-system.svc"
	folder := t.TempDir()
	// issue writes another certificate, and returns a client that trusts this one alone.
	issue := func() *http.Client {
		certificate, key, err := cert.GenerateSelfSignedCertKey(name, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for file, content := range map[string][]byte{"tls.crt": certificate, "tls.key": key} {
			if err := os.WriteFile(filepath.Join(folder, file), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(certificate) {
			t.Fatal("no certificate was made")
		}
		return &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12},
		}}
	}
	first := issue()
	environment := sharedAPIServer(t)
	address := freeAddress(t)
	manager := launch(t, newFront(t, environment.Config), "--metrics-bind-address="+address, "--metrics-cert-path="+folder)
	manager.awaitProbe("/readyz", ok)

	// get returns the code of the answer to a client without a token.
	get := func(client *http.Client) (int, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			return 0, err
		}
		return response.StatusCode, response.Body.Close()
	}
	if code, err := get(first); err != nil || code != http.StatusUnauthorized {
		t.Errorf("a client that trusts the certificate and has no token gets %d (%v), want %d", code, err, http.StatusUnauthorized)
	}
	second := issue()
	await(t, "the renewed certificate is served", func(context.Context) (bool, error) {
		code, err := get(second)
		return err == nil && code == http.StatusUnauthorized, nil
	})
	if _, err := get(first); err == nil {
		t.Error("the old certificate is still served")
	}
	manager.stop()
}
