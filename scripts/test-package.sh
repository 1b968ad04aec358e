#!/usr/bin/env bash
# Packs the project, installs the tarball in an empty folder without install scripts, and uses it there: a training of a few
# steps, the set-up of TensorFlow, and a program that is compiled against the package's types.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$root"
npm run --silent build
tarball=$(npm pack --silent --pack-destination "$folder")
cd "$folder"
size=$(stat -c %s "$tarball" 2>/dev/null || stat -f %z "$tarball")
if [ "$size" -gt 2000000 ]; then
  echo "the package is too large: $size bytes" >&2
  exit 1
fi
npm init --yes >/dev/null
npm pkg set type=module
# Runs the README's commands for the package as they stand there.
readme=$(sed -n '/^npm install --ignore-scripts/,/^```/p' "$root/README.md" | sed '/^```/d')
test -n "$readme"
bash -eo pipefail -c "$readme"
package=node_modules/stmixer

npx --no-install stmixer train --engine onnx --config-file $package/config_files/tiny.yaml \
  DATA.PATH_TO_DATA_DIR "$root/sample" SOLVER.MAX_EPOCH 1 OUTPUT_DIR output
test -s output/model_final.pth
npx --no-install stmixer report output
npx --no-install stmixer engine check --engine onnx --device cpu

npm explore stmixer -- npm run --silent setup:tensorflow -- --help >/dev/null

cp "$root/test/package/program.ts" .
node "$root/node_modules/typescript/bin/tsc" program.ts --strict --target es2022 --module nodenext --skipLibCheck \
  --types node --typeRoots "$root/node_modules/@types"
node program.js $package/config_files/tiny.yaml
echo "the package works: $tarball, $size bytes"
