#!/usr/bin/env bash
# A sweep on all hosts of a Cloud TPU pod slice:
#   scripts/cluster/sweep_tpu_pod.sh NAME ZONE SPEC.toml DIR
# SPEC.toml and DIR lie on storage that every host has mounted at the same place.
set -euo pipefail
name=$1 zone=$2 spec=$3 folder=$4
# Each host is a process of its own; JAX finds its place in the pod by itself.
gcloud compute tpus tpu-vm ssh "$name" --zone "$zone" --worker=all --command \
  "jaxstyle sweep '$spec' -o '$folder' --distributed --quiet"
