#!/bin/sh
# Reads back from the store what was uploaded, compares it with the checksums of snapshot.sh, and writes the receipt.
set -eu
# shellcheck source-path=SCRIPTDIR source=volume.sh
. "${0%/*}/volume.sh"
trap 'end 143' TERM INT
back=/data/drain/back

samples() { sed -n 's/.*"numSamples": *\([0-9][0-9]*\).*/\1/p' "$1/meta.json"; }

expect_owner
[ -e $complete ] || fail "snapshot.sh has not finished"

# What the sidecar has uploaded before. A compactor puts the names of the blocks that it has merged into the new block's meta.json.
if [ -s /data/drain/shipped ]; then
	run "listing the blocks in the store" thanos tools bucket ls --output=json --objstore.config-file=/etc/thanos/bucket.yaml
	while IFS= read -r name; do
		grep -q "\"$name\"" $output ||
			fail "the block $name, which the sidecar has uploaded, is not in the store any more, and no block was made of it"
	done </data/drain/shipped
fi

cat >/tmp/back.yaml <<END
type: FILESYSTEM
config:
  directory: $back
END
all=0 count=0
for block in "$blocks"/*/; do
	block=${block%/}
	[ -e "$block/meta.json" ] || continue
	name=${block##*/}
	# Thanos writes meta.json last, so a block that it can replicate is whole.
	rm -rf $back
	mkdir $back
	run "reading the block $name back" thanos tools bucket replicate --single-run --id="$name" \
		--objstore.config-file=/etc/thanos/bucket.yaml --objstore-to.config-file=/tmp/back.yaml
	[ -e "$back/$name/meta.json" ] || fail "the block $name is not in the store"
	while IFS= read -r label; do
		grep -q "\"${label%%: *}\": *\"${label#*: }\"" "$back/$name/meta.json" || fail "the block $name has not the label $label in the store"
	done <$labels
	[ "$(samples "$back/$name")" = "$(samples "$block")" ] || fail "the block $name has another number of samples in the store"
	grep "  $name/" /data/drain/SHA256SUMS >/tmp/sums || fail "the block $name has no checksums"
	(cd $back && sha256sum -c /tmp/sums >/dev/null 2>&1) || fail "the block $name in the store has other content than on the volume"
	count=$((count + 1)) all=$((all + $(samples "$block")))
done
rm -rf $back
[ "$(cut -d ' ' -f 3 /data/drain/SHA256SUMS | cut -d / -f 1 | sort -u | wc -l)" -eq "$count" ] || fail "blocks are missing on the volume"
printf 'uploaded and verified %s samples in %s blocks; %s blocks were uploaded before%s\n%s\n' "$all" "$count" "$(wc -l </data/drain/shipped)" \
	"$(cat /data/drain/note)" "$DRAIN_RECEIPT" >>$message
