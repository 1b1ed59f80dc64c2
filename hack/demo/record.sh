#!/usr/bin/env bash
# Runs the demo, and makes the picture of the README from what it prints: docs/images/demo.svg. It needs npx, of Node.js.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cast=$(mktemp)
trap 'rm -f "$cast"' EXIT
go build -C hack/tools -o "$PWD/bin/cast" ./cast
FORCE_COLOR=1 hack/demo/demo.sh | tee /dev/stderr |
	bin/cast -from 'Each replica gets records' -to 'Go on playing' -width 140 -height 34 >"$cast"
npx --yes svg-term-cli@2.1.1 --in "$cast" --out docs/images/demo.svg --window --no-cursor --padding 8
