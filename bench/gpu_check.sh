#!/usr/bin/env bash
# Checks the cuda engine on a machine with an NVIDIA GPU, and measures it beside PyTorch, in under ten minutes:
#
#   [OFFICIAL=DIR] [NODE=FILE] bench/gpu_check.sh [--results FILE] [--only PATTERN] [flags of bench/gpu_check/main.ts]
#
# It takes the programs of bench/gpu_check/pack.sh, else builds them with the packages of npm ci. OFFICIAL is a checkout of
# the official STMixer code. NODE is Node's binary, if it is not on the PATH.
set -euo pipefail
cd "$(dirname "$0")/.."
programs=node_modules/.cache/gpu_check
archive=$programs.tar.xz
if [ -f "$archive" ] && [ ! "$programs/node" -nt "$archive" ]; then
  rm -rf "$programs"
  mkdir -p "$programs"
  # Python reads the archive where xz is missing.
  tar -xJf "$archive" -C "$programs" || python3 -m tarfile -e "$archive" "$programs"
  touch "$programs/node"
fi
node=${NODE:-$(command -v node || echo "$programs/node")}
if [ ! -d "$programs" ]; then
  [ -d dist ] || npm run build
  npx tsx bench/gpu_check/build.ts "$programs"
fi
exec "$node" "$programs/bench/main.js" "$@"
