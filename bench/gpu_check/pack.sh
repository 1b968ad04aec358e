#!/usr/bin/env bash
# Packs what bench/gpu_check.sh needs besides a checkout, for a machine without Node, npm and network: the programs, the packages
# that they load, and Node's binary (NODE, else that of this machine). Prints the size of the archive, which must be below 64 MiB.
set -euo pipefail
cd "$(dirname "$0")/../.."
programs=node_modules/.cache/gpu_check
archive=$programs.tar.xz
rm -f "$archive"
npm run build
npx tsx bench/gpu_check/build.ts "$programs"
cp -L "${NODE:-$(command -v node)}" "$programs/node"
strip "$programs/node" || echo 'Node is packed with its symbols, because strip is missing' >&2
tar -cf - -C "$programs" . | xz -T0 -6 > "$archive"
bytes=$(stat -c %s "$archive")
echo "$archive: $((bytes / 1048576)) MiB ($bytes bytes)"
[ "$bytes" -lt $((64 * 1048576)) ] || { echo 'the archive is not below 64 MiB' >&2; exit 1; }
