module github.com/statefulset-dev/drain-operator/hack/cluster/binaries/pause

go 1.26.0
