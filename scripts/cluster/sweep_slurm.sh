#!/usr/bin/env bash
# A sweep on four nodes of a Slurm cluster: sbatch scripts/cluster/sweep_slurm.sh SPEC.toml DIR
# DIR lies on a disk that all nodes see. Submitted again, the same line makes what is missing.
#SBATCH --job-name=jaxstyle-sweep
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --time=12:00:00
#SBATCH --requeue
set -euo pipefail
# JAX reads the number of tasks, this task's and the coordinator from Slurm's environment.
srun jaxstyle sweep "$1" -o "$2" --distributed --quiet
# Without a network between the nodes, plain shards do the same:
#   srun bash -c 'jaxstyle sweep "$0" -o "$1" --shard "$SLURM_PROCID/$SLURM_NTASKS"' "$1" "$2"
