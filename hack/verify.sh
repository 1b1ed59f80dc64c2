#!/usr/bin/env bash
# Checks that everything generated is up to date and everything written is in order. After each step that may write, it looks whether the
# checkout changed, so that it can name the step; work that isn't committed yet doesn't count as a change.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# make verify builds them first.
export HELM=${HELM:-$PWD/bin/helm} HELM_UNITTEST=${HELM_UNITTEST:-$PWD/bin/helm-unittest}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=()

# snapshot prints the tree that a commit of everything git doesn't ignore would have, without touching git's index or objects.
snapshot() {
	cp "$(git rev-parse --git-path index)" "$tmp/index" 2>/dev/null || rm -f "$tmp/index"
	GIT_INDEX_FILE=$tmp/index git add --all . 2>/dev/null
	GIT_INDEX_FILE=$tmp/index git write-tree
}
objects=$(git rev-parse --path-format=absolute --git-path objects)
mkdir "$tmp/objects"
export GIT_OBJECT_DIRECTORY=$tmp/objects GIT_ALTERNATE_OBJECT_DIRECTORIES=$objects

step() { # NAME COMMAND…
	local name=$1 start=$SECONDS before after status
	shift
	before=$(snapshot)
	# Not as the condition of an if: a function in it would go on after a command that failed, whatever set -e says.
	set +e
	(
		set -e
		"$@"
	) >"$tmp/log" 2>&1
	status=$?
	set -e
	if ((status)); then
		cat "$tmp/log"
		failed+=("$name: failed")
	fi
	after=$(snapshot)
	if [[ "$before" != "$after" ]]; then
		git --no-pager diff --stat --patch "$before" "$after" | sed -n '1,200p' # not head, which would break the pipe
		failed+=("$name: changed files, see the diff above; commit what it wrote")
	fi
	echo "verify: $name ($((SECONDS - start)) s)"
}

shell_scripts() {
	if ! command -v shellcheck >/dev/null; then
		echo "verify: shellcheck is not installed; CI runs it" >&3
		return
	fi
	# By their first line, since not every script has a suffix.
	git ls-files -z --cached --others --exclude-standard | xargs -0 grep -lsE -m1 '^#!(/bin/|/usr/bin/env )(ba)?sh' |
		xargs -d '\n' shellcheck --external-sources
}

kustomizations() {
	local file
	while IFS= read -r -d '' file; do
		# Components are only whole inside a kustomization that takes them in.
		if ! grep -q '^kind: Component' "$file"; then
			echo "$file"
			go tool -modfile=hack/tools/go.mod kustomize build "$(dirname "$file")" >"$tmp/manifests"
			grep -q '^kind: ' "$tmp/manifests"
		fi
	done < <(git ls-files -z --cached --others --exclude-standard -- '*/kustomization.yaml')
}

chart() {
	"$HELM" lint --strict charts/drain-operator
	"$HELM_UNITTEST" charts/drain-operator
	go test ./test/chart
}

# What needs Linux builds elsewhere too, and says so when it is run.
macos() {
	local module
	for module in . cmd/kubectl-drainpolicy hack/tools hack/release test/infrastructure test/bench test/health; do
		(cd "$module" && GOOS=darwin CGO_ENABLED=0 go vet ./...)
	done
}

exec 3>&2
make=(make --no-print-directory)
step generate "${make[@]}" generate
step manifests "${make[@]}" manifests
step "chart templates" "${make[@]}" chart
step fmt "${make[@]}" fmt
step tidy "${make[@]}" tidy
step lint "${make[@]}" lint
step docs go test ./test/docs
step shellcheck shell_scripts
step workflows "${make[@]}" workflows
step kustomize kustomizations
step chart chart
step macOS macos

if ((${#failed[@]})); then
	printf 'verify: %s\n' "${failed[@]}" >&2
	exit 1
fi
echo "verify: everything is up to date"
