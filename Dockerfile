# The image of the operator, for every platform Go builds for:
#   make docker-build IMG=example.com/drain-operator:v1
#   make docker-buildx IMG=… PLATFORMS=linux/amd64,linux/arm64
# BASE_IMAGE is for clusters that allow only their own base images; the program is static and needs nothing from it but a user.
ARG BASE_IMAGE=gcr.io/distroless/static-debian12:nonroot

# The compiler runs on the machine's own platform and compiles for the target's: no emulation.
FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26 AS build
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=unknown
ARG COMMIT=
WORKDIR /workspace

# A layer of its own, so that modules are only downloaded again when they change.
COPY go.mod go.sum ./
RUN go mod download

COPY api/ api/
COPY cmd/ cmd/
COPY internal/ internal/
RUN CGO_ENABLED=0 GOOS=${TARGETOS:-linux} GOARCH=${TARGETARCH} \
    go build -trimpath -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT}" -o manager ./cmd/manager

FROM ${BASE_IMAGE}
COPY --from=build /workspace/manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
