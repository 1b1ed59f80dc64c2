module github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/binaries/pause

go 1.26.0
