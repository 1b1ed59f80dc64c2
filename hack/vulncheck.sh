#!/usr/bin/env bash
# Looks for known vulnerabilities that code of the named modules can reach, in all packages with their tests:
#
#   hack/vulncheck.sh . test/infrastructure
#
# VULNDB=<URL> takes another database than Go's own. Where it can't be reached, nothing has been checked: the script says so, and only
# VULNCHECK_REQUIRED=1 makes it fail, since that says nothing about the code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

(($#)) || set -- .
db=${VULNDB:-https://vuln.go.dev}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=() unchecked=()
for module in "$@"; do
	echo "govulncheck ($module)"
	status=0
	go tool -modfile="$PWD/hack/tools/go.mod" govulncheck -db "$db" -C "$module" -test ./... >"$log" 2>&1 || status=$?
	cat "$log"
	case $status in
	0) ;;
	3) failed+=("$module: known vulnerabilities, see above") ;;
	*)
		# govulncheck has one exit code for all other errors.
		if grep -qE '^(govulncheck: )?(creating client|fetching vulnerabilities): ' "$log"; then
			unchecked+=("$module")
		else
			failed+=("$module: govulncheck exited with $status")
		fi
		;;
	esac
done
if ((${#unchecked[@]})); then
	echo "vulncheck: NOT CHECKED: ${unchecked[*]}: the database $db can't be reached, or is none" >&2
	[[ "${VULNCHECK_REQUIRED:-}" != 1 ]] || failed+=("VULNCHECK_REQUIRED is 1, and not all was checked")
fi
if ((${#failed[@]})); then
	printf 'vulncheck: %s\n' "${failed[@]}" >&2
	exit 1
fi
((${#unchecked[@]})) || echo "vulncheck: no known vulnerabilities"
