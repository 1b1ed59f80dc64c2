#!/usr/bin/env bash
# A member is ready when it answers and has joined. Not when it serves: after all of them were down, the first must be ready for the
# second to be started.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=ensemble.sh
. "$(dirname "$0")/ensemble.sh"

[[ "${1-}" == alive || ! -e $home/joining ]]
[[ "$(ask 127.0.0.1 ruok)" == imok ]]
