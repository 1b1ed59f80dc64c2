#!/usr/bin/env bash
# Puts the license header on every Go file that has none. goheader only checks it: its own fix replaces whatever comment comes first,
# a package's documentation included.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

header=hack/boilerplate.go.txt
while IFS= read -r -d '' file; do
	[[ -f "$file" ]] || continue # deleted, but not yet committed
	if ! head -n 20 "$file" | grep -qE 'Copyright [0-9]{4} The drain-operator Authors|^// Code generated .* DO NOT EDIT\.$'; then
		{ cat "$header" && echo && cat "$file"; } >"$file.with-header"
		cat "$file.with-header" >"$file" # keeps the file's mode
		rm "$file.with-header"
		echo "header added: $file"
	fi
done < <(git ls-files -z --cached --others --exclude-standard -- '*.go')
