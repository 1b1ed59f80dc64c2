# The image of the operator, for every platform Go builds for:
#   make docker-build IMG=example.com/drain-operator:v1
#   make docker-buildx IMG=… PLATFORMS=linux/amd64,linux/arm64
# BASE_IMAGE is for clusters that allow only their own base images; the program is static and needs nothing from it but a user.
# The images are pinned by the digests of their indexes, which cover every platform. Dependabot updates them, in FROM only: hence the stage.
ARG BASE_IMAGE=distroless
FROM gcr.io/distroless/static-debian12:nonroot@sha256:afa5c872c891853ca7fcf1f12c3edb23f7eeef36189728842dd51042ff57f7ab AS distroless

# The compiler runs on the machine's own platform and compiles for the target's: no emulation.
FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26.8@sha256:9d2f36f06329b2a141b9db99ffa32765cf695ee57b813ca29e245e8670bcbfff AS build
ARG TARGETOS
ARG TARGETARCH
# What the program says about itself; the Makefile sets it.
ARG VERSION_FLAGS=""
WORKDIR /workspace

# A layer of its own, so that modules are only downloaded again when they change.
COPY go.mod go.sum ./
RUN go mod download

COPY api/ api/
COPY cmd/ cmd/
COPY internal/ internal/
RUN CGO_ENABLED=0 GOOS=${TARGETOS:-linux} GOARCH=${TARGETARCH} \
    go build -trimpath -buildvcs=false -ldflags "-s -w ${VERSION_FLAGS}" -o manager ./cmd/manager

FROM ${BASE_IMAGE}
COPY --from=build /workspace/manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
