#!/usr/bin/env bash
# Packs the project, installs the tarball in an empty folder without install scripts, and trains a few steps from there.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$root"
npm run --silent build
tarball=$(npm pack --silent --pack-destination "$folder")
cd "$folder"
npm init --yes >/dev/null
npm install --silent --ignore-scripts --no-audit --no-fund "./$tarball"
package=node_modules/stmixer
npx --no-install stmixer train --engine onnx --config-file $package/config_files/tiny.yaml \
  DATA.PATH_TO_DATA_DIR $package/sample SOLVER.MAX_EPOCH 1 OUTPUT_DIR output
test -s output/model_final.pth
echo "the package works: $tarball"
