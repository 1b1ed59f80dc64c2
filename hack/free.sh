#!/usr/bin/env bash
# Frees what drain-operator has left when it was removed before its policies: locks, the Jobs and Pods of drains, and the finalizers of
# policies. It needs bash and kubectl, with the rights of a cluster administrator.
#
#   free.sh [--namespace NAMESPACE] [--kubeconfig FILE] [--context NAME]    says what it would do, and changes nothing
#   free.sh --yes …                                                         does it
#
# It never changes or deletes a claim or a StatefulSet, and deletes no policy. It does nothing while an operator runs. It releases a lock
# only when the ordinal has neither a Job nor a living Pod of a drain, so that the StatefulSet's Pod can't start beside one.
#
# What it can't know: whether a manager runs outside the cluster without leader election (`make run`), and whether a Pod that Kubernetes
# no longer shows still runs on a node that was cut off. docs/remove.md says more.
#
# shellcheck disable=SC2016 # The variables in Go templates are kubectl's.
set -euo pipefail

usage() { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; }

yes=false
namespaces=(--all-namespaces)
kubectl=(kubectl)
# How long, in seconds, the Pods of a drain may take to terminate.
patience=${FREE_TIMEOUT:-120}
while (($#)); do
	case $1 in
	--yes) yes=true ;;
	--namespace | -n)
		namespaces=(--namespace "${2:?$1 needs a namespace}")
		shift
		;;
	--kubeconfig | --context)
		kubectl+=("$1" "${2:?$1 needs a value}")
		shift
		;;
	--help | -h)
		usage
		exit
		;;
	*)
		usage
		exit 2
		;;
	esac
	shift
done

domain=drain.statefulset.dev
left=0

say() { printf '%s\n' "$*"; }
# complain notes what could not be freed; the rest is freed all the same.
complain() {
	printf 'free.sh: %s\n' "$*" >&2
	left=$((left + 1))
}
k() { "${kubectl[@]}" "$@"; }

# What could not be read is not taken for absent: everywhere below, output is captured first, and an error ends the script.

# list prints what a Go template makes of each object, one a line.
list() { # TEMPLATE ARGUMENTS-OF-GET…
	k get "${@:2}" -o go-template="{{range .items}}$1{{end}}"
}

living='{{if and (ne .status.phase "Succeeded") (ne .status.phase "Failed")}}'
ordinal_of='{{or (index .metadata.labels "'$domain'/ordinal") "-"}}'
end_of='{{$end := "unfinished"}}{{range .status.conditions}}{{if and (eq .status "True") (or (eq .type "Complete") (eq .type "Failed"))}}{{$end = .type}}{{end}}{{end}}{{$end}}'
claims_in() { printf '{{range %s}}{{with .persistentVolumeClaim}} {{.claimName}}{{end}}{{end}}' "$1"; }

# refuse_if_operator_runs ends the script while a manager runs, or may: its Pods are there, or its lease is renewed.
refuse_if_operator_runs() {
	local pods leases namespace holder renewed seconds now
	pods=$(list "$living"'{{.metadata.namespace}}/{{.metadata.name}} {{end}}' pods --all-namespaces \
		--selector app.kubernetes.io/name=drain-operator,control-plane=controller-manager)
	if [[ -n "$pods" ]]; then
		say "free.sh: an operator runs: Pod ${pods% }. It frees all of this itself: delete the policies, and wait. To use this script, scale its Deployment to 0 first." >&2
		exit 1
	fi
	leases=$(list '{{.metadata.namespace}} {{or .spec.holderIdentity "-"}} {{or .spec.renewTime "-"}} {{or .spec.leaseDurationSeconds 15}}{{"\n"}}' \
		leases --all-namespaces --field-selector "metadata.name=manager.$domain")
	while read -r namespace holder renewed seconds; do
		[[ -n "$namespace" && "$holder" != - ]] || continue
		# Managers tell by its renewal whether a lease is held, because the clocks of two machines may differ. So does this.
		say "Lease $namespace/manager.$domain names the holder $holder; waiting $((seconds + 5)) s to see whether it is renewed."
		sleep $((seconds + 5))
		now=$(k get lease --namespace "$namespace" "manager.$domain" --ignore-not-found -o go-template='{{.spec.renewTime}}')
		if [[ -n "$now" && "$now" != "$renewed" ]]; then
			say "free.sh: an operator runs: $holder renews the lease $namespace/manager.$domain. Stop it first." >&2
			exit 1
		fi
	done <<<"$leases"
}

# undrained prints those of the claims that are being deleted and bear no mark under a lock. They disappear with the last Pod on them.
undrained() { # NAMESPACE CLAIM…
	local namespace=$1 claim mark
	shift
	for claim in "$@"; do
		mark=$(k get pvc --namespace "$namespace" "$claim" --ignore-not-found \
			-o go-template='{{if .metadata.deletionTimestamp}}going {{with .metadata.annotations}}{{or (index . "'$domain'/drained") ""}}{{end}}{{end}}') || return
		if [[ "$mark" == going* && ! "$mark" =~ \"lockUID\":\"[^\"] ]]; then
			printf '%s ' "$claim"
		fi
	done
}

# drains prints the Jobs and living Pods of an ordinal's drains, of whichever policy.
drains() { # NAMESPACE ORDINAL
	list 'Job {{.metadata.name}} ' jobs --namespace "$1" --selector "$domain/role=drain,$domain/ordinal=$2" &&
		list "$living"'Pod {{.metadata.name}} {{end}}' pods --namespace "$1" --selector "$domain/role=drain,$domain/ordinal=$2"
}

# delete deletes one object, if it is still the one that was seen.
delete() { # PATH UID PROPAGATION
	k delete --raw "$1" -f - >/dev/null <<<'{"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"'"$3"'","preconditions":{"uid":"'"$2"'"}}'
}

# remove_finalizer removes one finalizer of an object, if it is still the one that was seen.
remove_finalizer() { # KIND NAMESPACE NAME UID FINALIZER
	local at=0 finalizer finalizers
	finalizers=$(k get "$1" --namespace "$2" "$3" --ignore-not-found -o go-template='{{range .metadata.finalizers}}{{.}} {{end}}') || return
	for finalizer in $finalizers; do
		if [[ "$finalizer" == "$5" ]]; then
			k patch "$1" --namespace "$2" "$3" --type json -p '[{"op":"test","path":"/metadata/uid","value":"'"$4"'"},
				{"op":"test","path":"/metadata/finalizers/'$at'","value":"'"$5"'"},{"op":"remove","path":"/metadata/finalizers/'$at'"}]' >/dev/null
			return
		fi
		at=$((at + 1))
	done
}

refuse_if_operator_runs
$yes || say "Nothing is changed. With --yes, this would be done:"

# 1. The drains. A Pod that runs is told to terminate, as on a scale-up with whenScaledUp: Cancel. One with a gate would wait forever.
kept=() deleted=()
drain_gone() { # KIND PATH NAMESPACE NAME UID ORDINAL WORDS CLAIM…
	local going
	going=$(undrained "$3" "${@:8}")
	if [[ -n "$going" ]]; then
		kept+=("$3/$6")
		complain "$1 $3/$4 stays, and so does the lock of ordinal $6: claim $going""is being deleted and not marked as drained, and disappears with the last Pod on it. Copy its data, then delete $1 $4 and run this again."
		return
	fi
	say "delete $1 $3/$4 $7"
	if $yes; then
		delete "$2/namespaces/$3/$([[ $1 == Job ]] && echo jobs || echo pods)/$4" "$5" "$([[ $1 == Job ]] && echo Foreground || echo Background)" ||
			complain "$1 $3/$4 could not be deleted"
		deleted+=("$3 $6")
	fi
}

jobs=$(list '{{.metadata.namespace}} {{.metadata.name}} {{.metadata.uid}} '"$ordinal_of $end_of$(claims_in .spec.template.spec.volumes)"'{{"\n"}}' \
	jobs "${namespaces[@]}" --selector "$domain/role=drain")
while read -r namespace name uid ordinal end claims; do
	[[ -n "$namespace" ]] || continue
	pods=$(list '{{.metadata.name}} ({{.status.phase}}) ' pods --namespace "$namespace" --selector "batch.kubernetes.io/job-name=$name")
	# shellcheck disable=SC2086 # A list of names.
	drain_gone Job /apis/batch/v1 "$namespace" "$name" "$uid" "$ordinal" "($end)${pods:+ with Pod ${pods% }}" $claims
done <<<"$jobs"

pods=$(list '{{if not .metadata.ownerReferences}}{{.metadata.namespace}} {{.metadata.name}} {{.metadata.uid}} '"$ordinal_of {{.status.phase}}$(claims_in .spec.volumes)"'{{"\n"}}{{end}}' \
	pods "${namespaces[@]}" --selector "$domain/role=drain")
while read -r namespace name uid ordinal phase claims; do
	[[ -n "$namespace" ]] || continue
	# shellcheck disable=SC2086 # A list of names.
	drain_gone Pod /api/v1 "$namespace" "$name" "$uid" "$ordinal" "($phase), which has no Job" $claims
done <<<"$pods"

for one in ${deleted[@]+"${deleted[@]}"}; do
	read -r namespace ordinal <<<"$one"
	deadline=$((SECONDS + patience))
	while rest=$(drains "$namespace" "$ordinal") && [[ -n "$rest" ]] && ((SECONDS < deadline)); do
		sleep 1
	done
done

# 2. The locks of ordinals on which nothing runs any more.
locks=$(list '{{.metadata.namespace}} {{.metadata.name}} {{.metadata.uid}} '"$ordinal_of"'{{"\n"}}' pods "${namespaces[@]}" --selector "$domain/role=lock")
while read -r namespace name uid ordinal; do
	[[ -n "$namespace" ]] || continue
	if [[ " ${kept[*]-} " == *" $namespace/$ordinal "* ]]; then
		continue # It was said.
	fi
	if $yes; then
		rest=$(drains "$namespace" "$ordinal")
		if [[ -n "$rest" ]]; then
			complain "lock $namespace/$name stays: ${rest}may still write to the claims of ordinal $ordinal. If its node is down, see PodStillExists in docs/troubleshooting.md. Then run this again."
			continue
		fi
	fi
	say "release lock $namespace/$name: the StatefulSet's Pod of that name can be created again"
	if $yes; then
		# The deletion comes first: a lock that lost its finalizer and stayed would be one that anything can delete.
		{ delete "/api/v1/namespaces/$namespace/pods/$name" "$uid" Background &&
			remove_finalizer pod "$namespace" "$name" "$uid" "$domain/lock"; } || complain "lock $namespace/$name could not be released"
	fi
done <<<"$locks"

# 3. The policies that have no lock any more. As the operator does, this lets go also of those that are not being deleted.
crd=$(k get crd "drainpolicies.$domain" --ignore-not-found -o name)
policies=
if [[ -n "$crd" ]]; then
	policies=$(list '{{.metadata.namespace}} {{.metadata.name}} {{.metadata.uid}} {{or .metadata.deletionTimestamp "-"}} {{range .metadata.finalizers}}{{.}} {{end}}{{"\n"}}' \
		"drainpolicies.$domain" "${namespaces[@]}")
fi
while read -r namespace name uid going finalizers; do
	[[ -n "$namespace" ]] || continue
	[[ " $finalizers " == *" $domain/locks "* ]] || continue
	locks=
	if $yes; then
		locks=$(list '{{.metadata.name}} ' pods --namespace "$namespace" --selector "$domain/role=lock,$domain/policy-uid=$uid")
	fi
	if [[ -n "$locks" ]]; then
		complain "DrainPolicy $namespace/$name stays, because its lock ${locks}does"
		continue
	fi
	say "remove the finalizer of DrainPolicy $namespace/$name, which $([[ "$going" == - ]] && echo stays || echo is being deleted)"
	if $yes; then
		remove_finalizer "drainpolicies.$domain" "$namespace" "$name" "$uid" "$domain/locks" || complain "DrainPolicy $namespace/$name could not be let go"
	fi
done <<<"$policies"

if ((left)); then
	say "free.sh: $left of these could not be freed; see above." >&2
	exit 1
fi
if $yes; then
	say "Done. No claim and no StatefulSet was touched."
fi
