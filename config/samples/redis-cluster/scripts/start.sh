#!/usr/bin/env bash
# Starts a member, and introduces it to the others: a new one, which has no slots then, or one that has come back at a new address.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=server.sh
. "$(dirname "$0")/server.sh"

join() {
	until [[ "$(redis-cli ping 2>/dev/null)" == PONG ]]; do sleep 0.2; done
	meet
	until (($(known) > $(addresses | wc -l))); do
		sleep 1
		meet
	done
}
join &

exec "${server[@]}"
