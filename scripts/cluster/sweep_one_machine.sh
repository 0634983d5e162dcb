#!/usr/bin/env bash
# A sweep on one machine, on all of its devices. Killed or rebooted, the same line goes on.
#   scripts/cluster/sweep_one_machine.sh [SPEC.toml] [DIR]
set -euo pipefail
spec=${1:-$(dirname "$0")/sweep_example.toml}
exec jaxstyle sweep "$spec" -o "${2:-sweep}"
