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

package podlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

const (
	// tailLines is how many lines the kubelet is asked for. A line of a container's log file has 16 KiB at most, so these are
	// at most maxRead bytes, and the end is among them.
	tailLines = 100
	// sinceLines is the same for a read from a time on, in which short lines are looked for.
	sinceLines = 2000
	maxRead    = 2 << 20
	// timeout ends a read that hangs, because a node is down for example.
	timeout = 5 * time.Second
)

// Reader reads logs.
type Reader interface {
	// Stream returns the log of a container that the options choose.
	Stream(ctx context.Context, pod types.NamespacedName, options *corev1.PodLogOptions) (io.ReadCloser, error)
}

// Client reads logs through the API server.
type Client struct {
	Pods corev1client.PodsGetter
}

// +kubebuilder:rbac:groups="",resources=pods/log,verbs=get

// Stream sends one request. It is not repeated: a log that can't be read now is not worth a wait.
func (c *Client) Stream(ctx context.Context, pod types.NamespacedName, options *corev1.PodLogOptions) (io.ReadCloser, error) {
	return c.Pods.Pods(pod.Namespace).GetLogs(pod.Name, options).MaxRetries(0).Stream(ctx)
}

// Container names a container, or the one that ran before it under the same name.
type Container struct {
	Pod      types.NamespacedName
	Name     string
	Previous bool
}

// Tail returns the end of a container's log in whole lines, in at most so many bytes, as text that is safe to show.
func Tail(ctx context.Context, reader Reader, container Container, size int) (string, error) {
	lines, limit := int64(tailLines), int64(maxRead)
	text, err := read(ctx, reader, container, &corev1.PodLogOptions{TailLines: &lines, LimitBytes: &limit})
	if err != nil {
		return "", err
	}
	return end(clean(text), size), nil
}

// Line is a line of a log and when the kubelet's container runtime read it.
type Line struct {
	Time time.Time
	Text string
}

// Since returns the lines of a container's log from a time on: the last two thousand, or as many as there are.
func Since(ctx context.Context, reader Reader, container Container, from time.Time) ([]Line, error) {
	lines, limit := int64(sinceLines), int64(maxRead)
	options := &corev1.PodLogOptions{TailLines: &lines, LimitBytes: &limit, Timestamps: true}
	if !from.IsZero() {
		options.SinceTime = &metav1.Time{Time: from}
	}
	text, err := read(ctx, reader, container, options)
	if err != nil {
		return nil, err
	}
	var read []Line
	for line := range strings.Lines(text) {
		stamp, rest, _ := strings.Cut(line, " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil {
			continue // The start of it was cut off.
		}
		read = append(read, Line{Time: at, Text: strings.TrimSpace(clean(rest))})
	}
	return read, nil
}

func read(ctx context.Context, reader Reader, container Container, options *corev1.PodLogOptions) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	options.Container, options.Previous = container.Name, container.Previous
	stream, err := reader.Stream(ctx, container.Pod, options)
	if err != nil {
		return "", err
	}
	defer func() { _ = stream.Close() }()
	var text bytes.Buffer
	if _, err := io.Copy(&text, io.LimitReader(stream, maxRead)); err != nil {
		return "", fmt.Errorf("reading the log of container %q: %w", container.Name, err)
	}
	return text.String(), nil
}

// clean returns a text without what a terminal would act on, and without what is no text.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == unicode.ReplacementChar || !unicode.IsPrint(r) && !unicode.IsSpace(r):
			return -1
		case r != ' ' && unicode.IsSpace(r):
			return -1 // A carriage return, for example, overwrites a line.
		}
		return r
	}, text)
}

// end returns the last whole lines of a text that fit; of a longer last line, its end.
func end(text string, size int) string {
	text = strings.TrimRight(text, "\n\t ")
	if len(text) <= size {
		return text
	}
	cut := text[len(text)-size:]
	if text[len(text)-size-1] != '\n' {
		if _, after, ok := strings.Cut(cut, "\n"); ok {
			return after
		}
	}
	return strings.ToValidUTF8(cut, "")
}

// WhyNot says in words why a log could not be read.
func WhyNot(err error) string {
	switch {
	case apierrors.IsForbidden(err):
		return "the operator lacks the right to read logs: grant it get on pods/log, or set --drain-logs=false"
	case apierrors.IsNotFound(err):
		return "the pod was gone before its log was read"
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("the kubelet did not answer in %s", timeout)
	}
	return err.Error()
}
