"""Runs the commands that pages print, one after another, and prints what they print.

    python -m scripts.reproduction.rerun [PAGE ...] --data DATA --vgg19 FILE -o WORK [--list]

The pages are docs/speed.md and docs/quality.md unless others are named. Every command in them that
starts a script is run in the folder WORK, in the order of the page, under the heading that it
stands below. Words in capitals stand for what is on this machine: DATA for the folder of pictures,
VGG19 for the published weights. A command that fails is named at the end, and the others still run.
Most scripts add to files, so that another run in the same folder does only what is missing there.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.command_line import add_data_option, make_parser

ROOT = Path(__file__).parents[2]
_MODULE = "scripts.reproduction.rerun"
PAGES = ("docs/speed.md", "docs/quality.md")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
# A span of code in a sentence, or a line of a block of code.
_COMMAND = re.compile(r"`(python\s+-m\s+scripts\.[^`]+)`|^(python -m scripts\..+)$", re.MULTILINE)


class Command(NamedTuple):
    """A command of a page.

    Attributes:
      heading: the last one above it.
      words: after `python -m`.
    """

    heading: str
    words: list[str]


def read_commands(page: str) -> Iterator[Command]:
    r"""Returns the commands of a page that start scripts, in its order.

    Args:
      page: the text, in Markdown. What stands in square brackets may be left out, and is.

    Example:
      >>> list(read_commands("# Waits\n\nBy `python -m scripts.benchmarks.waits\na.jpg [b.jpg]`."))
      [Command(heading='Waits', words=['scripts.benchmarks.waits', 'a.jpg'])]
    """
    headings = list(_HEADING.finditer(page))
    for found in _COMMAND.finditer(page):
        above = [each[1] for each in headings if each.start() < found.start()]
        text = " ".join(re.sub(r"\[[^]]*\]", " ", found[1] or found[2]).split())
        yield Command(above[-1] if above else "", shlex.split(text, comments=True)[2:])


def fill_in(words: Sequence[str], here: Mapping[str, Path]) -> list[str]:
    """Replaces what stands for something on this machine.

    Args:
      words: those of a command.
      here: what words in capitals stand for.

    Raises:
      ValueError: if a word in capitals is not among them.

    Example:
      >>> fill_in(["waits", "--data", "DATA"], {"DATA": Path("pictures")})
      ['waits', '--data', 'pictures']
    """
    unknown = [each for each in words if re.fullmatch(r"[A-Z][A-Z0-9]+", each) and each not in here]
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is to be filled in by hand")
    filled = [str(here.get(each, each)) for each in words]
    return [str(ROOT / each) if (ROOT / each).is_file() else each for each in filled]


def run(words: Sequence[str], folder: Path) -> None:
    """Runs a command in a folder.

    Raises:
      subprocess.CalledProcessError: if it fails.
    """
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": paths}
    subprocess.run([sys.executable, "-m", *words], cwd=folder, env=environment, check=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser(_MODULE, __doc__)
    add = parser.add_argument
    add("pages", nargs="*", type=Path, metavar="PAGE",
        help=f"pages in Markdown (default: {' and '.join(PAGES)})")  # fmt: skip
    add_data_option(parser)
    add("--vgg19", type=Path, default=Path("vgg19"), help="Oxford's VGG-19: a name or a file")
    add("-o", "--output", type=Path, metavar="WORK", help="folder to run them in")
    add("--list", action="store_true", help="print the commands and run nothing")
    options = parser.parse_args(arguments)
    if not options.list:
        if options.output is None:
            parser.error("give -o WORK, the folder to run the commands in, or --list")
        if not options.data.is_dir():
            parser.error(f"--data: {options.data}: no such folder")
        if options.vgg19.name != str(options.vgg19) and not options.vgg19.is_file():
            parser.error(f"--vgg19: {options.vgg19}: no such file")
    try:
        pages = read_pages(options.pages)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    failed = run_pages(pages, options)
    if failed:
        sys.exit(f"{parser.prog}: these did not run:\n" + "\n".join(failed))


def read_pages(paths: Sequence[Path]) -> dict[str, str]:
    """Returns names and texts of pages, by default of `PAGES`.

    Raises:
      OSError: if there is no such file.
      ValueError: if one is not a text.
    """
    pages = {}
    for path in paths or [ROOT / name for name in PAGES]:
        try:
            pages[str(path)] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{path}: not a page in Markdown, which is text in UTF-8") from None
    return pages


def run_pages(pages: Mapping[str, str], options: argparse.Namespace) -> list[str]:
    """Runs the commands of pages, by their paths; returns those that failed."""
    vgg19 = options.vgg19
    here = {"DATA": options.data.resolve(), "VGG19": vgg19.resolve() if vgg19.exists() else vgg19}
    failed = []
    for path, page in pages.items():
        for heading, words in read_commands(page):
            print(f"\n{Path(path).name}, {heading}: python -m {shlex.join(words)}\n", flush=True)
            if options.list or words[0] == _MODULE:  # a page may say how to run itself again
                continue
            try:
                options.output.mkdir(parents=True, exist_ok=True)
                run(fill_in(words, here), options.output)
            except (OSError, ValueError, subprocess.CalledProcessError) as error:
                failed.append(f"{shlex.join(words)}: {error}")
    return failed


if __name__ == "__main__":
    main()
