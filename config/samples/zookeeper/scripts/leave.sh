#!/usr/bin/env bash
# Takes a member that is gone out of the ensemble and archives what its volume holds. Each step looks first whether it was done before.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=ensemble.sh
. "$(dirname "$0")/ensemble.sh"

id=$((DRAIN_ORDINAL + 1))
IFS=, read -ra peers <<<"$DRAIN_PEERS"
members=()

# The last word is what the policy's status shows, and kubectl describe.
finish() { # STATUS WORDS
	echo "$2"
	if [[ -w /dev/termination-log ]]; then echo -n "$2" >/dev/termination-log; fi
	exit "$1"
}
trap 'finish 1 "line $LINENO of leave.sh failed: $BASH_COMMAND"' ERR
# As process 1, a shell that sets no trap for it doesn't hear SIGTERM at all.
trap 'finish 143 "told to stop before it was done"' TERM

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

# is_member tells whether the list has this member. An empty list tells nothing.
is_member() {
	((${#members[@]} == 0)) || [[ $'\n'$(printf '%s\n' "${members[@]}") == *$'\n'"server.$id="* ]]
}

# is_listed tells whether any of those that remain takes this one for a member. It is quick, and they may be wrong.
is_listed() {
	local peer
	for peer in "${peers[@]}"; do
		if members_by "$peer" | grep -q "^server\.$id="; then return; fi
	done
	((${#members[@]} > 0)) && is_member
}

# 1. Out of the members. Those that remain must agree, so this is also the proof that there is a majority without it.
give_up=$((SECONDS + 180))
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
	if ((SECONDS > give_up)); then
		finish 1 "server.$id is still a member: $(sed -n '/KeeperErr\|Exception/p' <<<"$said" | tail -n 1)"
	fi
	sed -n '/KeeperErr\|Exception/p' <<<"$said"
	sleep 0.5
done
echo "server.$id is not a member any more, as of version $version:"
printf '%s\n' "${members[@]}"

# 2. The transaction log and the snapshots go into the archive. The name is made from the content, so that another run for the same content
# finds what the last one has done, and later content of this member gets an archive of its own.
mkdir -p $home/data/version-2 # It isn't there if the member never started.
cd $home/data
sum=$(find version-2 -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
target=/archive/$DRAIN_POD_NAME-${sum:0:16}.tar.gz
if [[ ! -e "$target" ]]; then
	# Logs are made larger than what is in them; the holes cost nothing.
	tar --create --gzip --sparse --file "$target.part" version-2
	sync "$target.part"
	mv "$target.part" "$target"
fi
# Every byte of it is read again and compared, by whichever run.
tar --compare --gzip --file "$target"
(cd /archive && sha256sum "${target##*/}" >"$target.sha256.part" && mv "$target.sha256.part" "$target.sha256")
sync "$target.sha256" /archive
files=$(find version-2 -type f | wc -l)

# 3. If the claim is kept and the ordinal comes back, it has to join like everybody, and not with members of long ago.
rm -rf $home/members

finish 0 "removed server.$id, ${#members[@]} members remain; archived $files files in ${target##*/}"
