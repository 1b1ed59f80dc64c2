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

package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	drainv1alpha1 "github.com/statefulset-dev/drain-operator/api/v1alpha1"
)

// Exit codes, beside 0. New's text has them for people.
const (
	exitError   = 1
	exitNo      = 2
	exitStalled = 3
	exitTimeout = 4
	exitGone    = 5
)

// answer is an error that is the answer to what was asked, and has an exit code of its own.
type answer struct {
	code int
	text string
}

func (a *answer) Error() string { return a.text }

// no returns the answer that something is not possible, or not safe.
func no(format string, args ...any) error { return &answer{exitNo, fmt.Sprintf(format, args...)} }

// ExitCode returns the exit code for what a command returned.
func ExitCode(err error) int {
	var a *answer
	switch {
	case err == nil:
		return 0
	case errors.As(err, &a):
		return a.code
	}
	return exitError
}

// explain says of an error what a person can do about it.
func (s *session) explain(err error) error {
	var a *answer
	var unreachable *url.Error
	var untrusted x509.UnknownAuthorityError
	switch {
	case err == nil, errors.As(err, &a), errors.Is(err, context.Canceled):
		return err
	case noDrainPolicies(err):
		return fmt.Errorf("the cluster %s has no DrainPolicies: its CustomResourceDefinition drainpolicies.drain.statefulset.dev is missing. "+
			"Install drain-operator, or choose another cluster with --context", s.config.Host)
	case meta.IsNoMatchError(err):
		return fmt.Errorf("the cluster %s does not have what this needs: %w", s.config.Host, err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the cluster %s does not accept your credentials: %w; log in again", s.config.Host, err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w. Ask for the right, or use an account that has it; the ClusterRoles view and edit of Kubernetes include what reads and changes need", err)
	case errors.As(err, &untrusted):
		return fmt.Errorf("the certificate of the cluster %s is not trusted: %w; the kubeconfig may be of another cluster", s.config.Host, err)
	case errors.As(err, &unreachable):
		hint := "is it running, and is it the cluster that you mean? --context and --kubeconfig choose another one"
		if s.config.Host == "http://localhost:8080" || s.config.Host == "localhost:8080" {
			hint = "no kubeconfig was found, so this is the default; set KUBECONFIG or --kubeconfig"
		}
		return fmt.Errorf("can't reach the cluster %s: %w; %s", s.config.Host, unreachable.Err, hint)
	}
	return err
}

// noDrainPolicies reports whether the API server does not know the kind.
func noDrainPolicies(err error) bool {
	var kind *meta.NoKindMatchError
	var group *meta.NoResourceMatchError
	var status apierrors.APIStatus
	switch {
	case errors.As(err, &kind):
		return kind.GroupKind.Group == drainv1alpha1.GroupVersion.Group
	case errors.As(err, &group):
		return group.PartialResource.Group == drainv1alpha1.GroupVersion.Group
	}
	// The kind was deleted after this program had learned of it.
	return errors.As(err, &status) && apierrors.IsNotFound(err) && strings.Contains(err.Error(), "the server could not find the requested resource")
}
