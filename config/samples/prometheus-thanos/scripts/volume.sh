#!/bin/sh
# What the other scripts know of the volume, and how they wait.

# shellcheck disable=SC2034 # The others use these.
tsdb=/data/tsdb
# What a drain makes: a copy of the database while it works, the blocks that it uploads, and the external labels that they get.
copy=/data/drain/copy
blocks=/data/drain/blocks
labels=/data/drain/labels
complete=/data/drain/complete
# The file with the name of the pod that the volume belongs to.
owner=/data/.drain-owner
# The time after which a step fails.
patience=${PATIENCE_SECONDS:-600}

message=/dev/termination-log
output=/tmp/output
fail() {
	echo "$*" >&2
	echo "$*" | cut -c 1-900 >$message
	end 1
}

# A program that works in the background, so that the shell hears a signal at once. It may be killed at any time.
work=''
end() { # STATUS
	trap - TERM INT
	[ -z "$work" ] || kill -KILL "$work" 2>/dev/null || true
	exit "$1"
}

now() { date +%s; }
pause() {
	sleep 1 &
	wait $!
}

# run runs a program for as long as there is patience, and reports that it is at work. What it prints on standard output is in $output.
run() { # WHAT COMMAND…
	what=$1
	shift
	"$@" >$output 2>/tmp/errors &
	work=$!
	give_up=$(($(now) + patience))
	while :; do
		echo "drain-progress: $what"
		kill -0 "$work" 2>/dev/null || break
		[ "$(now)" -lt "$give_up" ] || fail "$what took longer than $patience s: $(last_error)"
		pause
	done
	status=0
	wait "$work" || status=$?
	work=''
	cat /tmp/errors >&2
	[ "$status" -eq 0 ] || fail "$what failed with $status: $(last_error)"
}
last_error() { tail -n 1 /tmp/errors | sed 's/.*err=//'; }

# expect_owner fails on every other volume than that of the pod that is drained.
expect_owner() {
	[ "$(cat $owner 2>/dev/null)" = "$DRAIN_POD_NAME" ] || fail "there is no $owner of $DRAIN_POD_NAME on this volume: $DRAIN_POD_NAME has \
never started on it, or it is the wrong one. If it has never started, delete the claim"
}
