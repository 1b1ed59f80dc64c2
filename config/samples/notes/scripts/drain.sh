#!/bin/sh
# Moves the notes of an orphaned claim to the replicas that remain. It can run again at any point: a note that a replica has already is
# confirmed once more.
set -eu
trap 'exit 143' TERM

fail() {
	echo "$*" | tee /dev/termination-log >&2
	exit 1
}

# send posts a note to a replica, and succeeds if that replica then has the same bytes on its volume. wget runs in the background, so that
# the shell hears a signal at once.
send() {
	timeout 10 wget -q -O /tmp/answer --post-file "$1" "http://$2:8080/cgi-bin/note?${1##*/}" &
	wait $! && [ "$(cat /tmp/answer)" = "$(sha256sum <"$1")" ]
}

[ "$(cat /data/owner 2>/dev/null)" = "$DRAIN_POD_NAME" ] || fail "the volume is not that of $DRAIN_POD_NAME: /data/owner doesn't say so"

moved=0
for note in /data/notes/* /data/notes/.*; do
	case ${note##*/} in
	. | .. | '*' | '.*') continue ;;
	*[!A-Za-z0-9._-]* | .*) fail "note '${note##*/}' has a name that no replica takes" ;;
	esac
	taken=''
	for peer in $(echo "$DRAIN_PEERS" | tr , ' '); do
		if send "$note" "$peer"; then
			taken=$peer
			break
		fi
	done
	[ -n "$taken" ] || fail "no replica took the note '${note##*/}' ($moved moved before)"
	echo "moved ${note##*/} to $taken"
	moved=$((moved + 1))
done
printf 'moved %d notes\n%s\n' "$moved" "$DRAIN_RECEIPT" >>/dev/termination-log
