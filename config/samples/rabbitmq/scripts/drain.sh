#!/usr/bin/env bash
# Makes sure that the cluster needs nothing of what is on the volume of a member that is gone, and removes the member if it is still counted.
# Each step looks first whether it was done before.
set -Eeuo pipefail
# shellcheck source-path=SCRIPTDIR source=job.sh
. "$(dirname "$0")/job.sh"
advice="It is on this volume. Let the member come back (scale up), and empty and delete the queue, or move it to a quorum queue"

# check_identity is for the case that another cluster has the same names, or that this is another volume.
check_identity() {
	[[ ! -s $home/.cluster || "$(<$home/.cluster)" == "$cluster" ]] ||
		finish 1 "$via is a member of $cluster, and this volume has data of $(<$home/.cluster)"
	if is_member && [[ ! -e $data/$node ]]; then
		finish 1 "the cluster has $node as a member, and this volume has no data. It is the wrong volume, or its data was lost. If it was lost: kubectl exec $DRAIN_STATEFULSET-0 -- /etc/rabbitmq/forget.sh $DRAIN_POD_NAME, and delete the claim"
	fi
}

# step_down: its Pod is gone.
step_down() {
	if is_running; then
		reason="its server runs"
		return 1
	fi
}

drain() {
	[[ -e $marker ]] || finish 1 "there is no $marker on this volume: $DRAIN_POD_NAME has never started on it, or it is the wrong one. If it has never started, delete the claim"
	[[ "$(<$marker)" == "$DRAIN_POD_NAME" ]] || finish 1 "this is the volume of $(<$marker)"
	# A run that was killed at its end has left this note.
	[[ -e $data/$node || -e $home/.drained ]] || finish 1 "this volume has no data, though it is that of $DRAIN_POD_NAME: it was lost, or the member has never joined. Look at the queues, and delete the claim"
	remove_member check_identity
	# If the claim is kept and the ordinal comes back, it has to join like a new one.
	note $home/.drained "$cluster"
	rm -rf $data
	finish 0 "$node is not a member, ${#members[@]} members remain, and no queue needs this volume"
}

run drain
