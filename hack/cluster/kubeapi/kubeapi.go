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

// Package kubeapi asks the API server how far the cluster has come. It is a few plain requests: the cluster's tools need
// no Kubernetes client library for them.
package kubeapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// Client talks to one API server as one user.
type Client struct {
	server string
	http   *http.Client
}

// New returns a client with a certificate.
func New(server, caFile, certFile, keyFile string) (*Client, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s holds no certificate", caFile)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}}
	return &Client{server: server, http: &http.Client{Transport: transport, Timeout: 5 * time.Second}}, nil
}

// ErrNotFound says that the object isn't there.
var ErrNotFound = errors.New("not found")

// Get reads an object, or any path of the API when into is nil.
func (c *Client) Get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%s: %w", path, ErrNotFound)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: the API server answers %s", path, response.Status)
	}
	if into == nil {
		_, err := io.Copy(io.Discard, response.Body)
		return err
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// Ready reports whether the API server takes requests.
func (c *Client) Ready(ctx context.Context) error { return c.Get(ctx, "/readyz", nil) }

// Nodes maps the name of each node to whether it is Ready.
func (c *Client) Nodes(ctx context.Context) (map[string]bool, error) {
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Status   struct {
				Conditions []struct{ Type, Status string }
			}
		}
	}
	if err := c.Get(ctx, "/api/v1/nodes?resourceVersion=0", &list); err != nil {
		return nil, err
	}
	nodes := map[string]bool{}
	for _, item := range list.Items {
		nodes[item.Metadata.Name] = false
		for _, condition := range item.Status.Conditions {
			if condition.Type == "Ready" && condition.Status == "True" {
				nodes[item.Metadata.Name] = true
			}
		}
	}
	return nodes, nil
}

// DeploymentReady reports whether all replicas of a Deployment are available.
func (c *Client) DeploymentReady(ctx context.Context, namespace, name string) (bool, error) {
	var deployment struct {
		Metadata struct{ Generation int64 }
		Spec     struct{ Replicas int }
		Status   struct {
			ObservedGeneration int64
			AvailableReplicas  int
		}
	}
	if err := c.Get(ctx, "/apis/apps/v1/namespaces/"+namespace+"/deployments/"+name, &deployment); err != nil {
		return false, err
	}
	return deployment.Status.ObservedGeneration >= deployment.Metadata.Generation &&
		deployment.Status.AvailableReplicas >= deployment.Spec.Replicas, nil
}

// ServiceAccountExists reports whether pods can be created in a namespace.
func (c *Client) ServiceAccountExists(ctx context.Context, namespace, name string) (bool, error) {
	err := c.Get(ctx, "/api/v1/namespaces/"+namespace+"/serviceaccounts/"+name, nil)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
