#!/bin/sh
# Starts a server on its own volume.
# shellcheck shell=dash
set -eu
# shellcheck source-path=SCRIPTDIR source=server.sh
. "$(dirname "$0")/server.sh"

own_volume || exit 1
serve
