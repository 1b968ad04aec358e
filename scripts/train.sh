#!/usr/bin/env bash
# Trains on this machine, or as a Slurm job that may be requeued: continues from the last checkpoint in OUTPUT_DIR, if
# there is one, and saves and ends five minutes before the time limit. The first argument is the configuration; flags
# and KEY VALUE pairs follow.
#
#   scripts/train.sh config_files/my_VMAEv2-ViTB-16x4.yaml --transfer --no-head MODEL.WEIGHT weights.pth
#   sbatch scripts/train.sh config_files/my_VMAEv2-ViTB-16x4.yaml --transfer --no-head MODEL.WEIGHT weights.pth
#
#SBATCH --job-name=stmixer
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
#SBATCH --open-mode=append
set -euo pipefail
if [ $# -lt 1 ]; then
  echo "usage: $0 CONFIG [flags] [KEY VALUE ...]" >&2
  exit 2
fi
# Slurm runs a copy of this file from elsewhere; it was submitted from the repository.
cd "${SLURM_SUBMIT_DIR:-$(dirname "$0")/..}"
config=$1
shift
# If SIGHUP is ignored, as under nohup, a hang-up must not end the training. Node cannot find that out by itself.
if [ -n "$(trap -p HUP)" ]; then export STMIXER_IGNORE_SIGHUP=1; fi
# Images are decoded in libuv's thread pool, which has four threads by default.
export UV_THREADPOOL_SIZE="${UV_THREADPOOL_SIZE:-$(getconf _NPROCESSORS_ONLN)}"
# --overwrite starts anew, which excludes --resume.
resume=--resume
for word in "$@"; do
  if [ "$word" = --overwrite ]; then resume=; fi
done
exec node bin/stmixer.js train --config-file "$config" $resume "$@"
