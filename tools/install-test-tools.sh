#!/bin/sh
# Installs what tests need beside Go and is not there yet: PostgreSQL for the stores, Chromium for the pages. Does something only
# for root on Debian and its kin; elsewhere it says what is missing, and the tests that need it are skipped.
set -eu
missing=
command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "tests that need$missing are skipped: install as root with apt-get install$missing" >&2
	exit 0
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
{ apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >&2 ||
	echo "could not install$missing: tests that need it are skipped" >&2
