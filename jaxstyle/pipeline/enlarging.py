"""Makes a finished picture larger: from the settings inside it to the job of the larger one.

The larger picture is optimised as the finished one was, from that picture enlarged, and coarse to
fine. So it keeps the composition, while a run at the larger size from the photograph would find
another one. What belongs to a length in pixels, such as the painting's size, grows with the
picture; a multiple of the picture's size stays.

What a network painted in one pass is polished after the painting, or after the statistics of its
paintings that the network keeps.
"""

import functools
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxstyle import samples
from jaxstyle.errors import OptionError, UsageError, naming
from jaxstyle.feedforward.files import load_network
from jaxstyle.image.io import read_shape, scaled
from jaxstyle.networks.catalogue import COMPACT, FILES, PAINTBOX, find_fast_network
from jaxstyle.optimization.multiscale import ENLARGING_STEPS, enlarging_scales
from jaxstyle.pipeline.any_painting import SIDE
from jaxstyle.pipeline.choices import PIECES
from jaxstyle.pipeline.digests import digest_of
from jaxstyle.pipeline.file_options import exclusive
from jaxstyle.pipeline.job import Job, make_job
from jaxstyle.pipeline.metadata import read_options, read_settings, without_contradictions
from jaxstyle.pipeline.option_rows import PICTURES
from jaxstyle.pipeline.options import options_of, picture_options

_logger = logging.getLogger(__name__)

# What says how the finished picture came about, and not what it is compared with.
_OF_THE_WAY = ("size", "steps", "scales", "scale-steps", "init", "init-noise")
# What of `apply` means the same for `stylize`.
_OF_BOTH = ("mix", "regions", "color", "colors")
# What says which of a network's styles a picture has.
_OF_STYLES = ("style", "blend", "fast-network")
# What may be given again beside the picture.
_AGAIN = (
    "mix", "fine-style", "regions", "keep", "only", "protect", "network", "fast-network", "solver",
    "history", "convolution", "memory", "precision",
)  # fmt: skip


class _Finished(NamedTuple):
    """A finished picture.

    Attributes:
      path: its file.
      command: that made it.
      options: that were given for it.
      settings: all that it says of itself.
      shape: its height and width.
      size: the longer side of the larger picture.
    """

    path: str
    command: str
    options: Mapping[str, Any]
    settings: Mapping[str, Any]
    shape: tuple[int, int]
    size: int

    @property
    def ratio(self) -> float:
        """How many times as large the larger picture is."""
        return self.size / max(self.shape)


def make_larger(picture: str, output: Path, typed: Mapping[str, Any]) -> Job:
    """Returns the job of a larger picture with the composition of a finished one.

    Args:
      picture: the finished picture's file.
      output: the file to write.
      typed: the arguments of the command. A file that they name takes the place of one that the
        settings name.

    Raises:
      FileNotFoundError, IsADirectoryError: if `picture` names no file.
      FileFormatError: if it holds no settings, or none that jaxstyle could have written.
      UsageError: if a file that it was made from is not found, it is as large already, or it was
        made in a way that knows no larger picture.
    """
    settings = read_settings(picture)
    command = settings["command"]
    if command not in (*PICTURES, "apply"):
        raise UsageError(f"{picture}: names no command that makes pictures; give another picture")
    options, shape = read_options(picture, command), read_shape(picture)
    if options.get("method") in PIECES:
        raise UsageError(
            f"{picture}: is made of pieces, of which a larger one would show larger ones; make it "
            "again with a larger --size"
        )
    finished = _Finished(picture, command, options, settings, shape, _size(picture, shape, typed))
    files = _Files(finished, typed)
    content = None
    if command != "texture":
        content = files.find("content", settings.get("content"))
        with naming("content" if "content" in typed else None):
            _check_proportions(finished, content)
    if command == "apply":
        return _of_painted(finished, output, typed, files, content)
    style = None if command == "reconstruct" else files.find("style", settings.get("style"))
    kept = {name: value for name, value in options.items() if name not in _OF_THE_WAY}
    if settings["options"].get("network", "auto") == "auto":
        kept["network"] = _network_of(settings)
    if "output-size" in kept:
        kept["output-size"] = scaled(shape, finished.size)
    made = _start_from(finished, files.relocated(command, kept), typed)
    return make_job(command, content, style, output, made)


def _of_painted(
    finished: _Finished,
    output: Path,
    typed: Mapping[str, Any],
    files: "_Files",
    content: Path | None,
) -> Job:
    """Returns the job of a larger picture like one that `apply` made."""
    options = finished.options
    if options.get("strength", 100) != 100:
        raise UsageError(
            f"{finished.path}: is a painting laid over the photograph with a strength of "
            f"{options['strength']:g}; give a picture of strength 100"
        )
    kept = {name: options[name] for name in _OF_BOTH if name in options}
    if "style" not in typed and "painting" not in options:
        kept |= {name: options[name] for name in _OF_STYLES if name in options}
        return _repainted(finished, output, typed, files.relocated("apply", kept), content)
    style = files.find("style", options.get("painting"))
    kept |= {"preset": "quick", "network": COMPACT}
    if "mix" in kept:
        kept["mix-by"] = "targets"
    if "style-size" in options:
        kept["style-size"] = options["style-size"]
    elif not options.get("polish") and options.get("method", "network") == "network":
        kept["style-size"] = SIDE  # the strokes that such a network has learnt
    made = _start_from(finished, files.relocated("stylize", kept), typed)
    return make_job("stylize", content, style, output, made)


def _repainted(
    finished: _Finished,
    output: Path,
    typed: Mapping[str, Any],
    options: dict[str, Any],
    content: Path | None,
) -> Job:
    """Returns the job that polishes an enlarged picture after what its network knows."""
    if "regions" in options:
        raise UsageError(
            f"{finished.path}: has styles of a network in regions, which cannot be polished; give "
            "a picture of one style, or of paintings"
        )
    network = options.get("fast-network", PAINTBOX)
    if not load_network(find_fast_network(network)).statistics:
        raise OptionError(
            "{picture}: was painted by {network}, which keeps no statistics of its paintings; name "
            "the painting with {} FILE", "style", picture=finished.path, network=network,
        )  # fmt: skip
    options |= {
        "init": finished.path,
        "size": finished.size,
        "polish": typed.get("steps", ENLARGING_STEPS),
    }
    return make_job("apply", content, None, output, options)


def _start_from(
    finished: _Finished, options: dict[str, Any], typed: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns options of a picture with which a larger one begins where it ended."""
    before = max(finished.shape)
    if "output-size" in options:  # there the size is that of the painting
        before = int(finished.settings["options"]["size"])
    if "style-size" in options:
        options["style-size"] = max(1, round(options["style-size"] * finished.ratio))
    steps = typed.get("steps", ENLARGING_STEPS)
    scales = enlarging_scales(before, round(before * finished.ratio), steps)
    if len(scales) == 1:
        return options | {"init": finished.path, "size": scales[0].size, "steps": steps}
    sizes, counts = zip(*scales, strict=True)
    return options | {"init": finished.path, "scales": sizes, "scale-steps": counts}


def _size(picture: str, shape: tuple[int, int], typed: Mapping[str, Any]) -> int:
    """Returns the longer side of the larger picture."""
    if "size" in typed and "times" in typed:
        raise exclusive("size", "times")
    before = max(shape)
    if "times" in typed:
        return int(max(before + 1, round(typed["times"] * before)))
    if "size" not in typed:
        raise OptionError("give {} N, the longer side in pixels, or {} X", "size", "times")
    size: int = typed["size"]
    if size <= before:
        raise OptionError(
            "{} {size}: {picture} has {width}×{height} pixels already; give more than {before}",
            "size", size=size, picture=picture, width=shape[1], height=shape[0], before=before,
        )  # fmt: skip
    return size


def _check_proportions(finished: _Finished, content: Path) -> None:
    """Raises `OptionError` if a photograph cannot be the one of a picture."""
    found, shape = read_shape(content), finished.shape
    expected = scaled(found, max(shape))
    if max(abs(a - b) for a, b in zip(expected, shape, strict=True)) > 1:
        raise OptionError(
            "{content}: has {w}×{h} pixels, and {picture} has other proportions, {width}×{height}; "
            "give the photograph that it was made from with {} FILE", "content", content=content,
            picture=finished.path, w=found[1], h=found[0], width=shape[1], height=shape[0],
        )  # fmt: skip


def _network_of(settings: Mapping[str, Any]) -> str:
    """Returns the network that `auto` came to when a picture was made, if it has a name."""
    network = settings.get("network")
    name = network.get("name") if isinstance(network, Mapping) else None
    return str(name) if name in FILES else "auto"


class _Files:
    """Finds the files that a picture was made from.

    Args:
      finished: the picture.
      typed: the arguments of the command.
    """

    def __init__(self, finished: _Finished, typed: Mapping[str, Any]):
        self._picture, self._typed = finished.path, typed
        sources = finished.settings.get("sources")
        self._known = set(sources.values()) if isinstance(sources, Mapping) else set()
        if not self._known:
            _logger.info(
                "%s keeps no digests, so nobody checks that the files are those that it was made "
                "from", self._picture,
            )  # fmt: skip

    def find(self, option: str, name: Any) -> Path:
        """Returns the file that an option names, or the settings.

        Args:
          option: "content" or "style".
          name: of the file in the settings.

        Raises:
          OptionError: if it is not found.
        """
        if option not in self._typed:
            return Path(self._beside(option, str(name)))
        path = Path(self._typed[option])
        if self._known and path.is_file() and digest_of(path) not in self._known:
            _logger.warning(
                "warning: --%s %s is another file than %s was made from", option, path,
                self._picture,
            )  # fmt: skip
        return path

    def relocated(self, command: str, kept: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options of a picture, with typed ones in their place, and files found.

        Raises:
          OptionError: if a file is not found, or a typed option is not for such pictures.
        """
        shaping = picture_options(command)
        again = {name: self._typed[name] for name in _AGAIN if name in self._typed}
        for name in (each for each in again if each not in shaping):
            raise OptionError(
                "{} is not for {picture}, which jaxstyle {command} makes larger; leave it out",
                name, picture=self._picture, command=command,
            )  # fmt: skip
        kept = without_contradictions(command, kept, again)
        moved = {
            name: shaping[name].kind.relocate(value, functools.partial(self._beside, name))
            for name, value in kept.items()
        }
        return moved | again

    def _beside(self, option: str, name: str) -> str:
        """Returns a file that the settings name, looked for beside the picture and here."""
        other, metavar = None, options_of("larger")[option].metavar
        for file in _places(name, self._picture):
            if file.is_file():
                if not self._known or digest_of(file) in self._known:
                    return str(file)
                other = other or file
        if other is not None:
            raise OptionError(
                "{picture}: {other} is another file than the {name} that it was made from; give "
                "that with {} {metavar}", option, picture=self._picture, other=other, name=name,
                metavar=metavar,
            )  # fmt: skip
        raise OptionError(
            "{picture}: was made from {name}, which is neither beside it nor here; give it with {} "
            "{metavar}", option, picture=self._picture, name=name, metavar=metavar,
        )  # fmt: skip


def _places(name: str, picture: str) -> list[Path]:
    """Returns where a file that a picture names may be: beside it, here, or in the package.

    A picture may come from anybody, so it leads to no other folders.
    """
    inside = not os.path.isabs(name) and ".." not in Path(name).parts
    names = dict.fromkeys([*([name] if inside else []), Path(name).name])
    folders = [Path(picture).parent, Path(), Path(samples.__file__).parent]
    return [folder / each for folder in folders for each in names if each]
