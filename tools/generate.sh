#!/bin/sh
# Writes the Go beside every .proto below api/. With a folder as argument, writes
# the tree there instead (the test for stale code compares the two).
set -eu
cd "$(dirname "$0")/protogen"
root=$(cd ../../api && pwd)
exec go run . -root "$root" -out "${1:-$root}"
