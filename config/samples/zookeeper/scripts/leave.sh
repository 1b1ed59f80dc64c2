#!/usr/bin/env bash
# Takes a member that is gone out of the ensemble and archives what its volume holds. Each step looks first whether it was done before.
set -Eeuo pipefail
# shellcheck source-path=SCRIPTDIR source=ensemble.sh
. "$(dirname "$0")/ensemble.sh"

id=$((DRAIN_ORDINAL + 1))
IFS=, read -ra peers <<<"$DRAIN_PEERS"
members=()

# finish ends the work with the words that the policy's status shows, and kubectl describe.
finish() { # STATUS WORDS
	trap - ERR
	last_words "$2"
	exit "$1"
}

# read_members takes the last list of members that ends with its version out of what a client has said.
read_members() {
	local line list=()
	members=() version=
	while read -r line; do
		case $line in
		server.*=*) list+=("$line") ;;
		version=*) members=("${list[@]}") version=${line#version=} list=() ;;
		esac
	done
}

# is_member reports whether the list has this member. An empty list tells nothing.
is_member() {
	((${#members[@]} == 0)) || [[ $'\n'$(printf '%s\n' "${members[@]}") == *$'\n'"server.$id="* ]]
}

# is_listed reports whether any of those that remain takes this one for a member. It is quick, and they may be wrong.
is_listed() {
	local peer
	for peer in "${peers[@]}"; do
		if members_by "$peer" | grep -q "^server\.$id="; then return; fi
	done
	((${#members[@]} > 0)) && is_member
}

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
	local give_up commands said all files target aside='' sum

	[[ -e $marker ]] || finish 1 "there is no $marker on this volume: $DRAIN_POD_NAME has never started on it, or it is the wrong one. If it has never started, delete the claim"
	[[ "$(<$marker)" == "$DRAIN_POD_NAME" ]] || finish 1 "this is the volume of $(<$marker)"

	# 1. Out of the members. Those that remain must agree, so this is also the proof that there is a majority without it.
	give_up=$((SECONDS + patience))
	while :; do
		# sync first: the one that answers may be behind the others.
		commands=$'sync /zookeeper/config\nconfig'
		if is_listed; then
			echo "Removing server.$id"
			commands="reconfig -remove $id"$'\n'$commands
		fi
		said=$(client "${peers[@]}" <<<"$commands" || true)
		read_members <<<"$said"
		is_member || break
		said=$(sed -n '/KeeperErr\|Exception/p' <<<"$said" | tail -n 1)
		if ((SECONDS > give_up)); then
			finish 1 "server.$id is still a member after $patience s: ${said:0:300}"
		fi
		echo "$said"
		sleep 0.5
	done
	echo "server.$id is not a member any more, as of version $version:"
	printf '%s\n' "${members[@]}"

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

# The work is done by a process group of its own, so that this shell, the first of the container, hears a signal at once and can end it all.
set -m
(
	trap '((BASH_SUBSHELL > 1)) || finish 1 "line $LINENO of leave.sh failed: $BASH_COMMAND"' ERR
	leave
) &
work=$!
set +m
stop() {
	trap '' TERM INT
	kill -KILL -- "-$work" 2>/dev/null || true
	last_words "told to stop before it was done"
	exit 143
}
trap stop TERM INT
status=0
wait "$work" || status=$?
if ((status != 0)); then
	[[ ! -w $message || -s $message ]] || last_words "leave.sh ended with $status"
	exit "$status"
fi
# The last act: only a drain that has ended by itself gets here.
if [[ -n "${DRAIN_RECEIPT-}" ]]; then printf '%s\n' "$DRAIN_RECEIPT" >>$message; fi
