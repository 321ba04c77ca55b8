#!/bin/sh
# Installs what tests need beside Go and is not there yet: PostgreSQL for the stores, Chromium for the pages, Node.js with npm and
# the JavaScript SDKs of test/sidecar/js for the stories of the sidecar. Programs are installed only for root on Debian and its kin;
# elsewhere it says what is missing, and the tests that need it are skipped.
set -eu
cd "$(dirname "$0")/.."

programs() {
	missing=
	command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
	command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
	command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 || missing="$missing npm" # which depends on nodejs
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
		echo "tests that need$missing are skipped: install as root with apt-get install$missing" >&2
		return 0
	fi
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086
	{ apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >&2 ||
		echo "could not install$missing: tests that need it are skipped" >&2
}

# sdks brings what package-lock.json pins into a cache that all checkouts of this user share; tests find it there (test/sidecar
# compares the lock files). It is put in place whole, so that a run that was broken off leaves nothing half installed.
sdks() {
	pinned=test/sidecar/js
	cache=${SYNOD_TEST_CACHE:-${HOME:?}/.cache/synod-test}/js
	! cmp -s "$pinned/package-lock.json" "$cache/package-lock.json" || return 0
	command -v npm >/dev/null 2>&1 || return 0 # which was said
	fresh=$cache.$$
	mkdir -p "$fresh"
	cp "$pinned/package.json" "$pinned/package-lock.json" "$fresh"
	if npm ci --prefix "$fresh" --ignore-scripts --no-audit --no-fund --prefer-offline --fetch-retries=1 --fetch-retry-mintimeout=2000 --fetch-timeout=60000 --loglevel=error >"$fresh/log" 2>&1; then
		rm -rf "$cache"
		mv "$fresh" "$cache"
	else
		echo "stories of the JavaScript SDKs are skipped: npm ci in $pinned failed: $(grep -m1 . "$fresh/log")" >&2
		rm -rf "$fresh"
	fi
}

if command -v npm >/dev/null 2>&1; then
	sdks & # takes as long as the programs do
	programs
	wait
else
	programs
	sdks
fi
