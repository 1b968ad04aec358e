#!/usr/bin/env bash
# Trains as a Slurm job of several processes, one for each GPU: here eight on four machines. Five minutes before the time
# limit, all of them save and end, and the job goes back to the queue, where it continues. Submit it from the repository,
# with the arguments of scripts/train.sh. Options of sbatch replace those below.
#
#   sbatch scripts/train-slurm.sh config_files/my_VMAEv2-ViTB-16x4.yaml --transfer --no-head MODEL.WEIGHT weights.pth
#   sbatch --nodes=1 --ntasks-per-node=4 --gres=gpu:4 scripts/train-slurm.sh config.yaml MODEL.WEIGHT weights.pth
#
#SBATCH --job-name=stmixer
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=2
#SBATCH --gres=gpu:2
#SBATCH --cpus-per-task=8
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
#SBATCH --open-mode=append
set -euo pipefail
if [ -z "${SLURM_JOB_ID:-}" ] || [ $# -lt 1 ]; then
  echo "usage: sbatch $0 CONFIG [flags] [KEY VALUE ...]" >&2
  exit 2
fi
# srun does not take this over from sbatch. A process that is killed has to end the others, which would wait for it.
options=(--kill-on-bad-exit=1 ${SLURM_CPUS_PER_TASK:+--cpus-per-task="$SLURM_CPUS_PER_TASK"})
PROCESSES=1 srun "${options[@]}" "$SLURM_SUBMIT_DIR/scripts/train.sh" "$@" &
srun=$!
signals=0
is_stopped=
# srun passes the signal to all processes.
trap 'signals=$((signals + 1)); is_stopped=1; kill -USR1 "$srun" || true' USR1
# Slurm sends it to the processes as well. The job would end with this script.
trap 'signals=$((signals + 1))' TERM
until
  before=$signals
  code=0
  wait "$srun" || code=$?
  # A signal interrupts `wait`.
  [ "$signals" -eq "$before" ]
do :; done
if [ "$code" -eq 0 ] && [ -n "$is_stopped" ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$code"
