#!/usr/bin/env bash
# Prints a folder with prometheus, promtool and alertmanager. Those that are not on PATH it gets once: the first two from the package of
# Debian or Ubuntu, which is downloaded and unpacked into the cache and not installed, so that no service is started, and the last one from
# its Go module.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/drain-operator/prometheus
mkdir -p "$cache"
# Tests that run at the same time ask at the same time.
exec 9>"$cache/lock"
! command -v flock >/dev/null || flock 9

from_package() {
	if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
		echo "hack/prometheus.sh: prometheus and promtool are not on PATH, and this machine has no apt to get them with: put a release of Prometheus on PATH" >&2
		exit 1
	fi
	local work download=(apt-get download -qq -o APT::Sandbox::User=root prometheus)
	work=$(mktemp -d "$cache/.work-XXXXXX")
	echo "Downloading prometheus with apt" >&2
	# The machine may be new, or the archive may have moved on since apt last looked.
	if ! (cd "$work" && "${download[@]}" >&2); then
		if ((EUID == 0)); then apt-get update -qq >&2; else sudo -n apt-get update -qq >&2; fi
		(cd "$work" && "${download[@]}" >&2)
	fi
	dpkg-deb --extract "$work"/*.deb "$work/root"
	mv "$work/root/usr/bin/prometheus" "$work/root/usr/bin/promtool" "$folder/"
	rm -rf "$work"
}

version=$(go list -C hack/tools/alertmanager -m -f '{{.Version}}' github.com/prometheus/alertmanager)
folder=$cache/$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2>/dev/null || uname -s)-$version
mkdir -p "$folder"
for program in prometheus promtool; do
	[[ -x "$folder/$program" ]] && continue
	if found=$(command -v "$program"); then
		ln -sf "$found" "$folder/$program"
	else
		from_package
	fi
done
if [[ ! -x "$folder/alertmanager" ]]; then
	if found=$(command -v alertmanager); then
		ln -sf "$found" "$folder/alertmanager"
	else
		echo "Building alertmanager (a minute, once)" >&2
		CGO_ENABLED=0 go build -C hack/tools/alertmanager -trimpath -ldflags '-s -w' -o "$folder/alertmanager" github.com/prometheus/alertmanager/cmd/alertmanager
	fi
fi
echo "$folder"
