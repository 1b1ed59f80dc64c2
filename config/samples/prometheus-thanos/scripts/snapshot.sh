#!/bin/sh
# Makes blocks of all that is on an orphaned volume and not in the object store yet: the head as well, which Prometheus has in its write-ahead log
# only. README.md says why each step is there.
set -eu
# shellcheck source-path=SCRIPTDIR source=volume.sh
. "${0%/*}/volume.sh"
trap 'end 143' TERM INT
log=/tmp/prometheus.log
answer=/tmp/answer

complaint() { grep -E 'level=(WARN|ERROR)|^panic|^fatal' $log | tail -n 1; }
get() { # PATH, further arguments of wget's
	url=http://127.0.0.1:9090$1
	shift
	rm -f $answer
	timeout "$patience" wget -q -O $answer "$@" "$url" 2>/dev/null &
	wait $!
}
# metric prints one metric, and nothing where Prometheus doesn't have it.
metric() { awk -v name="$1" '$1 == name { printf "%.0f", $2 }' $answer; }

# lost fails the drain, unless a person accepts what is lost on this volume.
note=''
lost() {
	[ "${ACCEPT_LOSS_OF-}" = "$DRAIN_POD_NAME" ] || fail "$*"
	echo "accepted: $*"
	note="$note; accepted: $(echo "$*" | cut -c 1-200)"
}

# fingerprint prints what the database has, by names, sizes and times.
fingerprint() { (cd $tsdb && find . -type f ! -name queries.active ! -name lock -exec stat -c '%n %s %Y' {} + | sort); }

expect_owner
[ -n "$(find $tsdb/wal -type f -name '0*' 2>/dev/null)" ] ||
	fail "there is no write-ahead log on this volume, although $DRAIN_POD_NAME has started on it"
if find $tsdb/wbl -type f -size +0 2>/dev/null | grep -q .; then
	lost "there are samples out of order in $tsdb/wbl, which a snapshot leaves out: README.md says what to do"
fi

# A block that is made from the head gets a new name each time, so make it once: another attempt uploads the same blocks, and none twice.
fingerprint >/tmp/fingerprint
if cmp -s /tmp/fingerprint $complete; then
	echo "the blocks are there already"
	exit 0
fi
rm -rf /data/drain
mkdir -p $blocks

# Prometheus repairs a damaged log by throwing away what comes after the damage, so it works on a copy, by hard links where the file system has them.
cp -al $tsdb $copy 2>/dev/null || { rm -rf $copy && cp -a $tsdb $copy; } || fail "there is no room for a copy of the database on the volume"
# The external labels, and neither targets nor receivers.
awk '/^[^[:space:]#]/ { on = /^global:/ } on' /etc/prometheus/prometheus.yml >/tmp/prometheus.yml
: >$log
prometheus --config.file=/tmp/prometheus.yml --storage.tsdb.path=$copy --web.listen-address=127.0.0.1:9090 --web.enable-admin-api \
	--storage.tsdb.retention.time=100y --storage.tsdb.min-block-duration=2h --storage.tsdb.max-block-duration=2h >$log 2>&1 &
work=$!
give_up=$(($(now) + patience))
until get /-/ready; do
	kill -0 "$work" 2>/dev/null || fail "Prometheus has ended: $(complaint)"
	[ "$(now)" -lt "$give_up" ] || fail "Prometheus has not read its write-ahead log within $patience s: $(complaint)"
	echo "drain-progress: reading the write-ahead log"
	pause
done

# The labels as Thanos' sidecar gets them.
get /api/v1/status/config || fail "Prometheus doesn't tell its configuration"
sed 's/\\n/\n/g' $answer | awk '/^  external_labels:/ { on = 1; next } on && /^    / { print; next } { on = 0 }' | sed 's/^ *//; s/\\"//g' >$labels
[ -s $labels ] || fail "there are no external_labels in prometheus.yml, and Thanos can't tell the replicas apart without"
! grep -vE '^[A-Za-z_][A-Za-z0-9_]*: [A-Za-z0-9_./:@-]+$' $labels >/tmp/odd || fail "this script can't read the external label $(head -n 1 /tmp/odd)"

get /metrics || fail "Prometheus gives no metrics"
# Prometheus repairs a damaged log, and says so here only.
damage=$(awk '/^prometheus_tsdb_(wal_corruptions|head_truncations_failed|mmap_chunk_corruptions|compactions_failed)_total / { sum += $2; n++ }
	END { print n == 4 ? sum : "unknown" }' $answer)
[ "$damage" = 0 ] || lost "the write-ahead log is damaged ($damage): $(complaint)"
series=$(metric prometheus_tsdb_head_series)
chunks=$(metric prometheus_tsdb_head_chunks)
case $series/$chunks in
/* | */) fail "Prometheus lacks one of the metrics of its head: is it another version?" ;;
esac

echo "drain-progress: making blocks of $series series"
get /api/v1/admin/tsdb/snapshot --post-data='' || fail "the snapshot failed: $(complaint)"
name=$(sed -n 's/.*"name":"\([0-9A-Za-z-]*\)".*/\1/p' $answer)
[ -d "$copy/snapshots/$name" ] || fail "the snapshot failed: $(cat $answer)"
kill -TERM "$work" || fail "Prometheus has ended by itself: $(complaint)"
give_up=$(($(now) + patience))
while kill -0 "$work" 2>/dev/null; do
	[ "$(now)" -lt "$give_up" ] || fail "Prometheus has not ended within $patience s"
	pause
done
status=0
wait "$work" || status=$?
work=''
[ "$status" -eq 0 ] || fail "Prometheus has ended with $status: $(complaint)"

# The sidecar has uploaded some of the blocks, and a compactor may have merged them in the store since, so they must not be uploaded again.
: >/data/drain/shipped
for block in "$copy/snapshots/$name"/*; do
	[ -f "$block/meta.json" ] || continue
	if grep -q "\"${block##*/}\"" $tsdb/thanos.shipper.json 2>/dev/null; then
		echo "${block##*/}" >>/data/drain/shipped
	else
		mv "$block" $blocks/
	fi
done
made=0
for block in "$blocks"/*; do
	[ -f "$block/meta.json" ] || continue
	[ -e "$tsdb/${block##*/}" ] || made=$((made + 1))
done
[ "$chunks" -eq 0 ] || [ "$made" -gt 0 ] || fail "the head has $chunks chunks, and the snapshot has no block of it"
for block in "$tsdb"/*; do
	[ -f "$block/meta.json" ] || continue
	[ -e "$blocks/${block##*/}" ] || grep -qx "${block##*/}" /data/drain/shipped || fail "the snapshot has not the block ${block##*/} of the volume"
done
rm -rf $copy
(cd $blocks && find . -type f -name '[0-9]*' -o -type f -name index | sort | xargs -r sha256sum | sed 's|  \./|  |') >/data/drain/SHA256SUMS
echo "$note" >/data/drain/note
sync
# Nothing may have changed meanwhile.
fingerprint | cmp -s /tmp/fingerprint - || fail "the database has changed during the snapshot: is a pod using the volume?"
cp /tmp/fingerprint $complete.new || fail "the volume can't be written"
sync
mv $complete.new $complete
sync
echo "made $made blocks of the head, which had $series series; $(wc -l </data/drain/shipped) blocks were uploaded before"
