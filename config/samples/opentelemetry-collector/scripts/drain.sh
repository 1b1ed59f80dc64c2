#!/bin/sh
# Sends what is left in the queues of an orphaned claim, and proves that nothing is left. It can run again at any point. README.md says why each step
# is there.
set -eu
# shellcheck source-path=SCRIPTDIR source=volume.sh
. "${0%/*}/volume.sh"

# The time without progress after which the drain fails, and the time after which the remote storage has written to disk what it got.
patience=${PATIENCE_SECONDS:-60}
settle=${SETTLE_SECONDS:-20}
log=/tmp/otelcol.log
metrics=/tmp/metrics
collector='' started=0

# The collector may be killed at any time: it has only a copy of the queue.
end() { # STATUS
	trap - TERM INT
	[ -z "$collector" ] || kill -KILL "$collector" 2>/dev/null || true
	exit "$1"
}
trap 'end 143' TERM INT

fail() {
	show_log
	echo "$*" >&2
	echo "$*" | cut -c 1-900 >/dev/termination-log
	end 1
}

# lost fails the drain, unless a person accepts what is lost on this volume.
note=''
accepts_loss() { [ "${ACCEPT_LOSS_OF-}" = "$DRAIN_POD_NAME" ]; }
lost() {
	accepts_loss || fail "$*"
	echo "accepted: $*"
	note="$note; accepted: $(echo "$*" | cut -c 1-200)"
}

now() { date +%s; }

# In the background, so that the shell hears a signal at once.
pause() {
	sleep 1 &
	wait $!
}

show_log() { [ -z "$collector" ] || grep -v '"level":"debug"' $log || true; }
# complaint is the last that the collector has complained of.
complaint() { grep -E '"level":"(warn|error|panic|fatal)"|Will retry|^Error|^panic' $log | tail -n 1 | sed 's/.*"msg":/"msg":/' | cut -c 1-500; }

get() { # URL
	rm -f $metrics
	timeout 5 wget -q -O $metrics "$1" 2>/dev/null &
	wait $!
}

# total prints the sum of a metric over all its series, and fails if there is none.
total() { # REGULAR EXPRESSION
	awk -v name="^($1)(_total)?([{].*)?\$" '$1 ~ name { sum += $NF; n++ } END { if (!n) exit 1; printf "%.0f", sum }' $metrics
}

# count sets batches to the number of batches in a queue's file. The other keys are the queue's own notes.
count() { # FILE
	timeout 300 bbolt keys "$1" default >/tmp/keys 2>/tmp/errors &
	wait $! || fail "the queue ${1##*/} can't be read: $(tail -n 1 /tmp/errors)"
	batches=$(grep -cE '^[0-9]+$' /tmp/keys) || true
}

# check_log looks for batches that the collector has deleted without sending them: only its log says so.
check_log() {
	if refused=$(grep -m 1 -E 'Dropping data|Partial success response' $log); then
		lost "the remote storage refused a batch: $(echo "$refused" | sed 's/.*"msg":/"msg":/' | cut -c 1-500)"
	fi
	if skipped=$(grep -cE 'Failed to dispatch item|Failed retrieving item|Failed unmarshalling item|starting with new ones' $log); then
		lost "the collector can't read $skipped batches"
	fi
}

# wait_for_storage waits until the remote storage answers. It sets uptime to the seconds that it has run.
wait_for_storage() {
	give_up=$(($(now) + patience))
	until get "$REMOTE_METRICS_URL"; do
		[ "$(now)" -lt "$give_up" ] || fail "the remote storage doesn't answer at $REMOTE_METRICS_URL"
		pause
	done
	uptime=$(total vm_app_uptime_seconds) || fail "there is no vm_app_uptime_seconds at $REMOTE_METRICS_URL"
}

[ "$(cat $owner 2>/dev/null)" = "$DRAIN_POD_NAME" ] || fail "there is no $owner of $DRAIN_POD_NAME on this \
volume: $DRAIN_POD_NAME has never started on it, or it is the wrong one. If it has never started, delete the claim"
recover

# 1. What is left, by the files alone.
all=0 files=0
for file in "$queue"/exporter_*; do
	[ -f "$file" ] || fail "there is no queue on this volume, although $DRAIN_POD_NAME has started on it"
	timeout 300 bbolt check "$file" >/tmp/check 2>&1 &
	wait $! || fail "the queue ${file##*/} is damaged: $(tail -n 1 /tmp/check)"
	count "$file"
	all=$((all + batches)) files=$((files + 1))
done
echo "$all batches are left in $files queues"

sent_items=0
if [ "$all" -gt 0 ]; then
	# 2. A copy. The collector deletes a batch that is refused, and those that it can't read. It also takes the batches that were on their way out
	# of the queue, and puts them back a moment later. The queue itself stays as it is until all of it is sent.
	cp -a $queue $copy || fail "there is no room for a copy of the queue on the volume"

	# 3. Send it.
	if [ -n "${REMOTE_METRICS_URL-}" ]; then wait_for_storage; fi
	started=$(now)
	: >$log
	QUEUE_DIRECTORY=$copy otelcol --config=/etc/otelcol/exporter.yaml --config=/etc/otelcol/drain.yaml >$log 2>&1 &
	collector=$!
	best=-1 items='' give_up=$((started + patience))
	while :; do
		kill -0 "$collector" 2>/dev/null || fail "the collector has ended: $(complaint)"
		if [ -z "$items" ] && grep -q 'Everything is ready' $log; then
			items=$(sed -n '/Loaded queue metadata/s/.*"itemsSize":\([0-9][0-9]*\).*/\1/p' $log |
				awk '{ sum += $1; n++ } END { if (!n) exit 1; printf "%.0f", sum }') ||
				fail "the collector doesn't tell what it has found in its queue: is it another version?"
		fi
		if [ -n "$items" ] && get http://127.0.0.1:8888/metrics; then
			left=$(total otelcol_exporter_queue_size) || fail "the collector has no otelcol_exporter_queue_size: is it another version?"
			sent_items=$(total 'otelcol_exporter_sent_(metric_points|log_records|spans|profile_samples)') || sent_items=0
			if [ "$left" -eq 0 ] && [ "$sent_items" -ge "$items" ]; then break; fi
			if [ "$sent_items" -gt "$best" ]; then
				best=$sent_items give_up=$(($(now) + patience))
				percent=$((items > sent_items ? sent_items * 100 / items : 100))
				echo "drain-progress: $percent% sent $sent_items of $items items, $left batches are left"
			fi
		fi
		accepts_loss || check_log
		if [ "$(now)" -ge "$give_up" ]; then
			lost "nothing was sent for $patience s, $((best > 0 ? best : 0)) of ${items:-unknown} items before: $(complaint)"
			break
		fi
		pause
	done

	# 4. Stop it. A batch that could not be sent is in the file again, and one of an exporter that drain.yaml lacks still is.
	kill -TERM "$collector" || fail "the collector has ended by itself: $(complaint)"
	give_up=$(($(now) + patience))
	while kill -0 "$collector" 2>/dev/null; do
		[ "$(now)" -lt "$give_up" ] || fail "the collector has not ended within $patience s"
		pause
	done
	status=0
	wait "$collector" || status=$?
	show_log
	[ "$status" -eq 0 ] || fail "the collector has ended with $status: $(complaint)"
	check_log
	collector=''
	for file in "$copy"/exporter_*; do
		count "$file"
		[ "$batches" -eq 0 ] || fail "$batches batches are left in the queue ${file##*/}: has drain.yaml its exporter, in a pipeline of its signal?"
	done

	# 5. The remote storage has had it in memory at first. By now it is on disk, if the storage did not restart meanwhile.
	if [ -n "${REMOTE_METRICS_URL-}" ]; then
		on_disk=$(($(now) + settle))
		while [ "$(now)" -lt "$on_disk" ]; do
			echo "drain-progress: 100% sent, waiting until the remote storage has it on disk"
			pause
		done
		wait_for_storage
		[ "$uptime" -ge $(($(now) - started)) ] ||
			fail "the remote storage has restarted during the drain and may have lost what it had in memory: all is sent again"
	fi

	# 6. If the claim is kept and the ordinal comes back, it must not send all of this again.
	sync
	mv $queue $sent
	mv $copy $queue
	sync
	rm -rf $sent
fi
printf 'sent %s items in %s batches, nothing is left%s\n%s\n' "$sent_items" "$all" "$note" "$DRAIN_RECEIPT" >>/dev/termination-log
