"""`python -m jaxstyle` is the `jaxstyle` command."""

import sys

from jaxstyle.cli import main

sys.exit(main())
