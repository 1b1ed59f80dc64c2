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

package audit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"
)

// Request is one request of an agent.
type Request struct {
	// User is who sent it.
	User string
	// Agent is the user agent that it was sent with.
	Agent string
	// Verb is the verb of the Kubernetes API: get, list, watch, create, update, patch, delete, deletecollection.
	Verb string
	// Resource and Subresource are what it is about.
	Resource, Subresource string
	// Namespace and Name are the object's; a list has no name, and so has the creation of an object whose name is generated.
	Namespace, Name string
	// Code is the status code of the response.
	Code int
	// Query are the parameters of the request.
	Query url.Values
	// Received and Done are when the API server received the request and had sent the response.
	Received, Done time.Time
}

// event is the part of an audit event that is read.
type event struct {
	Stage      string `json:"stage"`
	RequestURI string `json:"requestURI"`
	Verb       string `json:"verb"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	UserAgent string `json:"userAgent"`
	ObjectRef struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	Received time.Time `json:"requestReceivedTimestamp"`
	Done     time.Time `json:"stageTimestamp"`
}

// Window reads from a log the requests that the API server received from one time on and before another.
func Window(file string, from, to time.Time) ([]Request, error) {
	log, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	all, err := Read(log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var requests []Request
	for i := range all {
		if !all[i].Received.Before(from) && all[i].Received.Before(to) {
			requests = append(requests, all[i])
		}
	}
	return requests, nil
}

// Read reads all requests of a log. A watch counts when it starts, and everything else when its response is complete. The last
// line may be incomplete, because the API server is still writing it.
func Read(log io.Reader) ([]Request, error) {
	reader := bufio.NewReaderSize(log, 1<<20)
	var requests []Request
	for {
		line, err := reader.ReadBytes('\n')
		if err == io.EOF { //nolint:errorlint // ReadBytes returns it as it is.
			return requests, nil
		}
		if err != nil {
			return nil, err
		}
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("line %d of the audit log: %w", len(requests)+1, err)
		}
		if begins := e.Stage == "ResponseStarted"; begins != (e.Verb == "watch") {
			continue
		}
		address, err := url.ParseRequestURI(e.RequestURI)
		if err != nil {
			return nil, err
		}
		requests = append(requests, Request{
			User: e.User.Username, Agent: e.UserAgent, Verb: e.Verb,
			Resource: e.ObjectRef.Resource, Subresource: e.ObjectRef.Subresource,
			Namespace: e.ObjectRef.Namespace, Name: e.ObjectRef.Name,
			Code: e.ResponseStatus.Code, Query: address.Query(), Received: e.Received, Done: e.Done,
		})
	}
}

// DryRun reports whether the request changes nothing.
func (r *Request) DryRun() bool { return r.Query.Has("dryRun") }

// Event reports whether the request writes an event.
func (r *Request) Event() bool { return r.Resource == "events" }

// Write reports whether the request changes an object, other than an event or the lease of a leader election.
func (r *Request) Write() bool {
	switch r.Verb {
	case "create", "update", "patch", "delete", "deletecollection":
		return !r.DryRun() && !r.Event() && r.Resource != "leases" && r.Resource != ""
	}
	return false
}

// Status reports whether the request writes the status of a custom resource, as an operator does to report.
func (r *Request) Status() bool { return r.Write() && r.Subresource == "status" }

// LiveLook reports whether the request lists pods as they are now, or a page of them. A list that fills a cache has a resourceVersion
// of 0, or comes in the pages of client-go.
func (r *Request) LiveLook() bool {
	return r.Verb == "list" && r.Resource == "pods" && r.Query.Get("resourceVersion") != "0" && r.Query.Get("limit") != cachePage
}

// cachePage is the size of the pages in which client-go fills a cache (defaultPageSize in its tools/pager).
const cachePage = "500"

// Selector returns how a list is selected, for a table.
func (r *Request) Selector() string {
	label, field := r.Query.Get("labelSelector"), r.Query.Get("fieldSelector")
	switch {
	case label != "" && field != "":
		return "by labels and fields"
	case label != "":
		return "by labels"
	case field != "":
		return "by fields"
	case r.Namespace != "":
		return "of a namespace"
	}
	return "of the cluster"
}
