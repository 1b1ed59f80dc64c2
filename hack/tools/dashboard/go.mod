// Writes the dashboard for Grafana. A module of its own, for the SDK is large.
module github.com/statefulset-dev/drain-operator/hack/tools/dashboard

go 1.26.0

require github.com/grafana/grafana-foundation-sdk/go v0.0.22
