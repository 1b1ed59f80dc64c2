#!/bin/sh
# Sends what is left in the queue of an orphaned claim, and proves that nothing is left. It can run again at any point. The arguments are
# further flags of vmagent's. README.md says why each step is there.
set -eu
# shellcheck source-path=SCRIPTDIR source=volume.sh
. "${0%/*}/volume.sh"

# The time without progress after which the drain fails, and the time after which the remote storage has written to disk what it got.
patience=${PATIENCE_SECONDS:-60}
settle=${SETTLE_SECONDS:-20}
log=/tmp/vmagent.log
metrics=/tmp/metrics
agent='' started=0 shown=0

# The agent may be killed at any time: it has only a copy of the queue.
end() { # STATUS
	trap - TERM INT
	[ -z "$agent" ] || kill -KILL "$agent" 2>/dev/null || true
	exit "$1"
}
trap 'end 143' TERM INT

fail() {
	show_log
	echo "$*" >&2
	echo "$*" | cut -c 1-900 >/dev/termination-log
	end 1
}

now() { date +%s; }

# In the background, so that the shell hears a signal at once.
pause() {
	sleep 1 &
	wait $!
}

show_log() {
	[ -n "$agent" ] || return 0
	sed -n "$((shown + 1)),\$p" $log
	shown=$(wc -l <$log)
}

# complaint is the last that vmagent has warned of.
complaint() { awk -F '\t' '$2 == "warn" || $2 == "error" || $2 == "panic" || $2 == "fatal" { line = $NF } END { print line }' $log; }

get() { # URL
	rm -f $metrics
	timeout 5 wget -q -O $metrics "$1" 2>/dev/null &
	wait $!
}

# totals prints the sums of metrics over all queues in one line, and fails if one of the metrics is missing.
totals() { # METRIC…
	awk -v names="$*" '
		{ metric = $1; sub(/[{].*/, "", metric); found[metric] = 1; sum[metric] += $NF }
		END {
			n = split(names, name, " ")
			for (i = 1; i <= n; i++) {
				if (!(name[i] in found)) exit 1
				printf "%.0f ", sum[name[i]]
			}
		}' $metrics
}

# read_offsets sets reader and writer to the ends of what is left in a queue, as vmagent has noted them.
read_offsets() { # FOLDER
	reader=$(sed -n 's/.*"ReaderOffset":\([0-9][0-9]*\).*/\1/p' "$1/metainfo.json" 2>/dev/null) || reader=''
	writer=$(sed -n 's/.*"WriterOffset":\([0-9][0-9]*\).*/\1/p' "$1/metainfo.json" 2>/dev/null) || writer=''
	[ -n "$reader" ] && [ -n "$writer" ] && [ "$reader" -le "$writer" ]
}

# measure sets left to the bytes that vmagent will read from a queue, and unrecorded to those behind them, which a killed vmagent has written
# and not noted. It fails where vmagent would delete the queue as broken and go on with an empty one.
measure() { # FOLDER
	left=0 unrecorded=0 has_reader='' has_writer=''
	read_offsets "$1" || fail "the queue ${1##*/} is damaged: its metainfo.json can't be read"
	for file in "$1"/*; do
		base=${file##*/}
		case $base in
		*[!0-9A-F]*) continue ;; # metainfo.json and the lock
		esac
		# A file is named by the offset that it starts at, in hex.
		first=$((0x$base))
		last=$((first + $(stat -c %s "$file")))
		if [ "$first" -le "$reader" ] && [ "$reader" -le "$last" ]; then has_reader=1; fi
		if [ "$first" -le "$writer" ] && [ "$writer" -le "$last" ]; then has_writer=1; fi
		if [ "$last" -gt "$writer" ]; then
			unrecorded=$((unrecorded + last - (first > writer ? first : writer)))
			last=$writer
		fi
		if [ "$first" -lt "$reader" ]; then first=$reader; fi
		if [ "$last" -gt "$first" ]; then left=$((left + last - first)); fi
	done
	[ "$has_reader$has_writer" = 11 ] || fail "the queue ${1##*/} is damaged: files are missing or too short for its metainfo.json"
}

# wait_for_storage waits until the remote storage answers. It sets uptime to the seconds that it has run.
wait_for_storage() {
	give_up=$(($(now) + patience))
	until get "$REMOTE_METRICS_URL"; do
		[ "$(now)" -lt "$give_up" ] || fail "the remote storage doesn't answer at $REMOTE_METRICS_URL"
		pause
	done
	uptime=$(totals vm_app_uptime_seconds) || fail "there is no vm_app_uptime_seconds at $REMOTE_METRICS_URL"
	uptime=${uptime% }
}

[ "$(cat $owner 2>/dev/null)" = "$DRAIN_POD_NAME" ] || fail "there is no $owner of $DRAIN_POD_NAME on this \
volume: $DRAIN_POD_NAME has never started on it, or it is the wrong one. If it has never started, delete the claim"
recover

# 1. What is left, by the files alone.
all=0 lost=0
for folder in "$queue"/persistent-queue/*; do
	[ -d "$folder" ] || fail "there is no queue on this volume, although $DRAIN_POD_NAME has started on it"
	measure "$folder"
	all=$((all + left)) lost=$((lost + unrecorded))
done
echo "$all bytes are left in the queue"
unclean=''
if [ -e $queue/.vm_app_running ]; then
	unclean="; vmagent had been killed on this volume, so it has lost what it had in memory, and $lost bytes on disk \
that it had not recorded"
fi

# 2. A copy, by hard links where the file system has them. vmagent notes a block as read before it is sent, so a vmagent that is killed loses
# what is on its way. The queue itself stays as it is until all of it is sent.
mkdir $copy
if ! cp -al $queue/persistent-queue $copy/ 2>/dev/null; then
	rm -rf $copy/persistent-queue
	cp -a $queue/persistent-queue $copy/ || fail "there is no room for a copy of the queue on the volume"
fi

# 3. Send it.
if [ -n "${REMOTE_METRICS_URL-}" ]; then wait_for_storage; fi
started=$(now)
: >$log
vmagent -httpListenAddr=127.0.0.1:8429 -remoteWrite.url="$REMOTE_WRITE_URL" -remoteWrite.tmpDataPath=$copy -remoteWrite.keepDanglingQueues \
	-remoteWrite.retryMaxInterval=5s "$@" >$log 2>&1 &
agent=$!
best=-1 give_up=$((started + patience))
while :; do
	show_log
	kill -0 "$agent" 2>/dev/null || fail "vmagent has ended: $(complaint)"
	if get http://127.0.0.1:8429/metrics; then
		counts=$(totals vm_persistentqueue_bytes_read_total vm_persistentqueue_blocks_read_total vm_persistentqueue_blocks_dropped_total \
			vmagent_remotewrite_packets_dropped_total vmagent_remotewrite_blocks_sent_total vmagent_remotewrite_bytes_sent_total \
			vmagent_remotewrite_pending_data_bytes) || fail "vmagent lacks one of the metrics of its queue: is it another version?"
		read -r bytes blocks overflow dropped blocks_sent bytes_sent pending <<-END
			$counts
		END
		dropped=$((dropped + overflow))
		[ "$dropped" -eq 0 ] || fail "the remote storage refused $dropped blocks, which vmagent drops: $(complaint)"
		for folder in "$copy"/persistent-queue/*; do
			name=${folder##*/}
			[ -e "$queue/persistent-queue/$name" ] ||
				fail "vmagent has another queue, $name, than the volume: is REMOTE_WRITE_URL not the URL of $DRAIN_STATEFULSET any more?"
			if ! grep -q "^vmagent_remotewrite_pending_data_bytes{.*/$name\"" $metrics; then
				measure "$queue/persistent-queue/$name"
				[ "$left" -eq 0 ] || fail "$left bytes are in the queue $name, of a URL that is not REMOTE_WRITE_URL"
			fi
		done
		# A block that is on its way isn't pending any more, so count what has arrived.
		if [ "$pending" -eq 0 ] && [ "$blocks" -eq "$blocks_sent" ]; then break; fi
		if [ "$bytes_sent" -gt "$best" ]; then
			best=$bytes_sent give_up=$(($(now) + patience))
			echo "drain-progress: $((bytes_sent * 100 / all))% sent $bytes_sent of $all bytes in $blocks_sent blocks"
		fi
	fi
	[ "$(now)" -lt "$give_up" ] || fail "no block was sent for $patience s, $((best > 0 ? best : 0)) of $all bytes before: $(complaint)"
	pause
done
# Each block has a header of 8 bytes. vmagent skips what it can't read, and only its log says so.
[ $((bytes + 8 * blocks)) -eq "$all" ] || fail "vmagent has read $((bytes + 8 * blocks)) of the $all bytes in the queue: $(complaint)"

# 4. Stop it. What it could not send is in the files again.
kill -TERM "$agent" || fail "vmagent has ended by itself: $(complaint)"
status=0
wait "$agent" || status=$?
show_log
[ "$status" -eq 0 ] || fail "vmagent has ended with $status: $(complaint)"
agent=''
for folder in "$copy"/persistent-queue/*; do
	read_offsets "$folder" || fail "vmagent has left no metainfo.json in ${folder##*/}"
	[ "$reader" -eq "$writer" ] || fail "$((writer - reader)) bytes are left in the queue ${folder##*/} after vmagent has ended"
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
mv $queue $sent
mv $copy $queue
sync
rm -rf $sent
printf 'sent %s bytes in %s blocks, nothing is left%s\n%s\n' "$bytes" "$blocks" "$unclean" "$DRAIN_RECEIPT" >>/dev/termination-log
