#!/usr/bin/env bash
# Trains on this machine, or as a Slurm job that may be requeued: continues from the last checkpoint in OUTPUT_DIR, if
# there is one, and saves and ends five minutes before the time limit. The first argument is the configuration; flags
# and KEY VALUE pairs follow. With PROCESSES=4 it starts four processes with mpirun. For several machines, see
# scripts/train-slurm.sh.
#
#   scripts/train.sh config_files/my_VMAEv2-ViTB-16x4.yaml --transfer --no-head MODEL.WEIGHT weights.pth
#   PROCESSES=4 scripts/train.sh config_files/my_VMAEv2-ViTB-16x4.yaml --transfer --no-head MODEL.WEIGHT weights.pth
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
processes=${PROCESSES:-1}
# Images are decoded in libuv's thread pool, which has four threads by default.
cores=${SLURM_CPUS_PER_TASK:-$(($(getconf _NPROCESSORS_ONLN) / processes))}
export UV_THREADPOOL_SIZE="${UV_THREADPOOL_SIZE:-$cores}"
command=(node bin/stmixer.js train --config-file "$config")
# --overwrite starts anew, which excludes --resume. A job that Slurm has requeued goes on with what it has trained.
resume=--resume
for word in "$@"; do
  if [ "$word" = --overwrite ]; then
    if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then continue; fi
    resume=
  fi
  command+=("$word")
done
if [ -n "$resume" ]; then command=("${command[@]:0:5}" --resume "${command[@]:5}"); fi
if [ "$processes" -le 1 ]; then exec "${command[@]}"; fi

# On SIGINT and SIGTERM, the mpirun of Open MPI kills its processes after two seconds, which a step may exceed. On SIGUSR1
# they save and end. In a group of its own, mpirun does not get the Ctrl-C of the terminal.
set -m
mpirun --bind-to none -np "$processes" "${command[@]}" < /dev/null &
mpirun=$!
signals=0
exit_code=0
# shellcheck disable=SC2317 # The traps call it.
stop() {
  if [ "$signals" -eq 0 ]; then kill -USR1 "$mpirun" || true; else kill -TERM "$mpirun" || true; fi
  signals=$((signals + 1))
  exit_code=$1
}
trap 'stop 129' HUP
trap 'stop 130' INT
trap 'stop 131' QUIT
trap 'stop 143' TERM
trap 'stop 0' USR1
until
  before=$signals
  code=0
  wait "$mpirun" || code=$?
  # A signal interrupts `wait`.
  [ "$signals" -eq "$before" ]
do :; done
exit $((code == 0 ? exit_code : code))
