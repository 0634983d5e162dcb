"""Shares what the command lines of the scripts have in common."""

import argparse
from pathlib import Path


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of a description, and appends defaults to the help of options."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help or ""
        if action.default in (None, argparse.SUPPRESS) or action.default is False:
            return text
        return text if "(default" in text else f"{text} (default: %(default)s)"


def make_parser(module: str, docstring: str) -> argparse.ArgumentParser:
    """Returns a parser that describes a script by its docstring.

    Args:
      module: the script's full name, as it stands behind `python -m`.
      docstring: that of the module.
    """
    return argparse.ArgumentParser(
        prog=f"python -m {module}", description=docstring, formatter_class=_HelpFormatter
    )


def add_data_option(parser: argparse.ArgumentParser, subfolders: str = "content and style") -> None:
    """Adds the option `--data`.

    Args:
      parser: the script's parser.
      subfolders: what the script reads in the folder.
    """
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("../shared/data"),
        help=f"folder of pictures, with the subfolders {subfolders}",
    )
