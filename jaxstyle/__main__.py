"""`python -m jaxstyle` is the `jaxstyle` command."""

import sys

from jaxstyle.cli import command

sys.exit(command())
