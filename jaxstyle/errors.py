"""The exceptions whose messages are meant for the user.

An argument that cannot be right raises a plain `ValueError` or `TypeError`, and a path that does
not exist raises the usual `FileNotFoundError`. The two classes here are for problems that only show
while the work is being done. Every message is one line that names the file or the argument and says
what would be right.
"""


class FileFormatError(ValueError):
    """A file cannot be used: it is truncated, of another kind, or holds another network."""


class DownloadError(OSError):
    """No source of a file could be reached, or what arrived was not the file asked for."""
