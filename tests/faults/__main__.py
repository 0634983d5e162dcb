"""Prints the table of the cases.

python -m tests.faults                         # this checkout
python -m tests.faults --package ../before     # an older one beside it
python -m tests.faults --only "full disk"      # the cases whose name or heading has these words

"ok": what should happen did. "lost": it did not, and the text says what was lost. Small disks need
root; without it these cases are skipped.
"""

import argparse
import signal
import sys
from pathlib import Path

from .frame import CASES, HEADINGS, print_table


def main() -> int:
    """Prints the table of the cases."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--package", type=Path, help="another checkout, for the first column")
    parser.add_argument("--only", default="", help="words of a case's name or heading")
    parser.add_argument("--seconds", type=float, default=300, help="what counts as hanging")
    options = parser.parse_args()
    # A shell's background job ignores it, and what it starts would too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    packages = {"before": options.package.resolve()} if options.package else {}
    packages["now"] = Path(__file__).resolve().parents[2]
    for package in packages.values():
        if not (package / "jaxstyle").is_dir():
            parser.error(f"{package} is no checkout")
    chosen = [each for each in CASES if options.only in f"{each.heading} {each.name}"]
    chosen.sort(key=lambda each: HEADINGS.index(each.heading))
    return 0 if print_table(packages, chosen, options.seconds, sys.stdout) else 1


if __name__ == "__main__":
    sys.exit(main())
