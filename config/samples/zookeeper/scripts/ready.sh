#!/usr/bin/env bash
# A member is ready when it serves as a voter: its server leads or follows, and the membership that it knows has it. A server that
# only answers (ruok) may be without a majority, and disruption budgets and drains that count it would take the majority from the others.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=ensemble.sh
. "$(dirname "$0")/ensemble.sh"

if [[ "${1-}" == alive ]]; then
	# One that waits for an ensemble has no server yet.
	[[ -e $home/waiting || "$(ask 127.0.0.1 ruok)" == imok ]]
	exit
fi
[[ ! -e $home/joining ]]
mode=$(ask 127.0.0.1 srvr | sed -n 's/^Mode: //p')
[[ "$mode" == leader || "$mode" == follower ]]
members_by 127.0.0.1 | grep -q "^server\.$((${HOSTNAME##*-} + 1))="
