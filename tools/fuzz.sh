#!/bin/sh
# Runs every fuzzer of the module, one after the other, each for FUZZTIME (60s). Arguments are packages, such as ./daml/...; without
# any it is all. What a fuzzer finds is an input that fails, which go writes below testdata/fuzz of its package: commit it with the fix.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- ./...
failed=
for package in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' "$@"); do
	for fuzzer in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "== $package $fuzzer"
		go test -run '^$' -fuzz "^$fuzzer\$" -fuzztime "${FUZZTIME:-60s}" -parallel "${PARALLEL:-2}" "$package" || failed="$failed $package:$fuzzer"
	done
done
if [ -n "$failed" ]; then
	echo "failed:$failed" >&2
	exit 1
fi
