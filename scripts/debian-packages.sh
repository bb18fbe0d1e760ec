#!/bin/sh
# Debian packages that the tests use: installed where we are root, named elsewhere.
set -u
missing=""
command -v strace >/dev/null || missing="$missing strace"
command -v chromium >/dev/null || missing="$missing chromium"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Debian packages:$missing …"
    # shellcheck disable=SC2086
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null 2>&1 && exit 0
fi
echo "Not installed:$missing. Tests that need them are skipped. To run those too: sudo apt install$missing" >&2
exit 0
