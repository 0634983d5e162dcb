"""The exceptions that carry a message meant for the user.

An argument that cannot be right is a plain `ValueError` or `TypeError`, a path that does not exist
the usual `FileNotFoundError`; the two classes here are for what only shows while the work is done.
Every message is one line that names the file or argument and says what would be right.
"""


class FileFormatError(ValueError):
    """The contents of a file cannot be used: truncated, of another kind, of another network."""


class DownloadError(OSError):
    """No source of a file could be reached, or what came was not the file asked for."""
