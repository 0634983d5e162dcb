"""Cases of what goes wrong on disks, in files, in terminals and by mistake.

`python -m tests.faults` tries them and prints what becomes of the work. Each is a command line with
real files.
"""

from . import failing, silent, strangers

__all__ = ["failing", "silent", "strangers"]
