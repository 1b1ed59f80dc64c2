#!/usr/bin/env bash
# Takes a member that is gone out of the ensemble and archives what its volume holds. Each step looks first whether it was done before.
set -Eeuo pipefail
# shellcheck source-path=SCRIPTDIR source=job.sh
. "$(dirname "$0")/job.sh"

# content prints the checksums of the files on the volume, and packed those of the files in an archive. What packed can't read to its end is worth nothing.
content() {
	find version-2 -type f -print0 | sort -z | timeout --foreground "$patience" xargs -0r sha256sum
}
packed() { # FILE
	# shellcheck disable=SC2016 # tar starts a shell for each file, which expands it.
	timeout --foreground "$patience" tar --extract --gzip --file "$1" --to-command='echo "$(sha256sum | cut -c -64)  $TAR_FILENAME"' 2>/dev/null
}

# holds reports whether an archive has what is on the volume, byte for byte.
holds() { # FILE
	local list
	list=$(packed "$1") && [[ "$(sort <<<"$list")" == "$(sort <<<"$all")" ]]
}

leave() {
	local said all files target aside='' sum

	[[ -e $marker ]] || finish 1 "there is no $marker on this volume: $DRAIN_POD_NAME has never started on it, or it is the wrong one. If it has never started, delete the claim"
	[[ "$(<$marker)" == "$DRAIN_POD_NAME" ]] || finish 1 "this is the volume of $(<$marker)"

	# 1. Out of the members. One that has left by member.sh isn't among them.
	remove_member

	# 2. The transaction log and the snapshots go into the archive. The name is made from the content, so that another run for the same content
	# finds what the last one has done, and later content of this member gets an archive of its own.
	mkdir -p $home/data/version-2 # It isn't there if the member never started.
	cd $home/data
	all=$(content) || finish 1 "the volume can't be read"
	files=$(find version-2 -type f | wc -l)
	sum=$(sha256sum <<<"$all")
	target=/archive/$DRAIN_POD_NAME-${sum:0:16}.tar.gz
	if [[ -e "$target" ]] && ! holds "$target"; then
		# It was whole when it got its name, and isn't any more. It is kept for a person to look at, under a name that no drain uses.
		aside=$target.corrupt-$(date +%s)
		mv "$target" "$aside"
		echo "${target##*/} is corrupt, and is ${aside##*/} now"
	fi
	if [[ ! -e "$target" ]]; then
		# A run that was killed may have left one, of another user even.
		rm -f "$target.part"
		# Logs are made larger than what is in them; the holes cost nothing.
		said=$(timeout --foreground "$patience" tar --create --gzip --sparse --file "$target.part" version-2 2>&1) ||
			finish 1 "the archive can't be written: ${said:0:300}"
		sync "$target.part"
		holds "$target.part" || finish 1 "the archive doesn't give back what was written to it"
		mv "$target.part" "$target"
	fi
	(cd /archive && sha256sum "${target##*/}" >"$target.sha256.part" && mv "$target.sha256.part" "$target.sha256")
	sync "$target.sha256" /archive

	# 3. If the claim is kept and the ordinal comes back, it has to join like a new member, and not with members of long ago.
	rm -rf $home/members
	finish 0 "removed server.$id, ${#members[@]} members remain; archived $files files in ${target##*/}${aside:+; the archive of that name was corrupt, see ${aside##*/}}"
}

run leave
