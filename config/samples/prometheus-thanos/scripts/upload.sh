#!/bin/sh
# Uploads the blocks that snapshot.sh has made. Thanos skips those that are in the store.
set -eu
# shellcheck source-path=SCRIPTDIR source=volume.sh
. "${0%/*}/volume.sh"
trap 'end 143' TERM INT

expect_owner
[ -e $complete ] || fail "snapshot.sh has not finished"
# Thanos' own list of what it has uploaded would hide a block that was removed from the store since.
rm -rf $blocks/thanos $blocks/thanos.shipper.json
set --
while IFS= read -r label; do
	set -- "$@" "--label=${label%%: *}=\"${label#*: }\""
done <$labels
run "uploading $(find $blocks -name meta.json | wc -l) blocks" \
	thanos tools bucket upload-blocks --path=$blocks --objstore.config-file=/etc/thanos/bucket.yaml --shipper.upload-compacted "$@"
