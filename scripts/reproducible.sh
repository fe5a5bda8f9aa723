#!/usr/bin/env bash
# Builds dist in two directories that differ in everything a build might take over: where they are, the umask, the time zone, the locale,
# the user's home. Fails unless the bytes are the same.
set -euo pipefail
cd "$(dirname "$0")/.."
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

copy() {
    mkdir -p "$1"
    cp -a src scripts package.json tsconfig.json "$1"
    # Linked where that is possible: it is large, and a build changes nothing in it.
    cp -al node_modules "$1" 2>/dev/null || { rm -rf "$1/node_modules" && cp -a node_modules "$1"; }
}

one="$work/one"
other="$work/another directory/further/down"
copy "$one"
copy "$other"
(cd "$one" && npm run --silent build)
(cd "$other" && umask 077 && HOME="$work" TZ=Pacific/Kiritimati LC_ALL=C npm run --silent build)
diff -r "$one/dist" "$other/dist"
echo "dist is the same from both: $(cd "$one/dist" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)"
