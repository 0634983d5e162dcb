"""`jaxstyle video`: paints a film, and says what became of it."""

from pathlib import Path
from typing import Any

from jaxstyle._common.terminal import passing
from jaxstyle.cli.plan import is_exact
from jaxstyle.cli.printing import answered, say, say_json
from jaxstyle.errors import OptionError, usage_errors
from jaxstyle.pipeline.options import picture_options
from jaxstyle.pipeline.outputs import Output, check_outputs
from jaxstyle.pipeline.video_job import Film, make_film
from jaxstyle.pipeline.video_rows import COMMAND
from jaxstyle.pipeline.video_run import Tally, paint_film, plan_film, preview_of
from jaxstyle.pipeline.video_state import folder_of
from jaxstyle.video.writing import check_film_path, is_folder


def video(arguments: dict[str, Any]) -> int:
    """`jaxstyle video CLIP [STYLE] -o OUT`."""
    options = {name: arguments[name] for name in picture_options(COMMAND) if name in arguments}
    output = Path(arguments["output"])
    with usage_errors():
        check_film_path(output)
    with passing("reading", quiet="quiet" in arguments):
        film = make_film(arguments["clip"], arguments.get("painting"), str(output), options)
    if "preview" in arguments and film.passes > 1:
        raise OptionError("{} is for a film of one pass; leave {} out", "preview", "passes")
    if "preview" in arguments and is_folder(output):
        raise OptionError(
            "{}: a folder needs no film on the way; look into {reel}", "preview",
            reel=folder_of(output),
        )  # fmt: skip
    read = [film.clip.path, *film.first.files, *([film.flow] if film.flow else [])]
    written = [Output("output", output), Output("output", folder_of(output))]
    if "preview" in arguments:
        written.append(Output("preview", preview_of(output)))
    check_outputs(written, read)
    if film.clip.path.is_dir() and output.resolve().parent == film.clip.path.resolve():
        raise OptionError(
            "{} {path}: lies among the frames that are read; name another folder", "output",
            path=output,
        )  # fmt: skip
    download = "no-download" not in arguments
    if "dry-run" in arguments:
        return _print_plan(film, arguments, download)
    tally = paint_film(
        film, download=download, quiet="quiet" in arguments, every=arguments.get("preview")
    )
    _report(film, tally, arguments)
    return 0


def _print_plan(film: Film, arguments: dict[str, Any], download: bool) -> int:
    facts = plan_film(film, download=download, exact=is_exact(arguments))
    if "json" in arguments:
        say_json(facts)
    else:
        passes = f", {facts['passes']} passes" if facts["passes"] > 1 else ""
        say(
            f"{facts['frames']} frames of {facts['width']}×{facts['height']} pixels{passes} with "
            f"{facts['network']}: {facts['bytes'] / 2**20:.0f} MiB, about "
            f"{_duration(facts['seconds'])}"
        )
    return answered()


def _report(film: Film, tally: Tally, arguments: dict[str, Any]) -> None:
    total = sum(tally.seconds.values())
    if "json" in arguments:
        say_json({
            "output": str(film.output),
            "frames": tally.frames,
            "painted": tally.painted,
            "shots": tally.shots,
            "width": film.shape[1],
            "height": film.shape[0],
            "seconds": {name: round(value, 3) for name, value in tally.seconds.items()},
            "frames_per_second": round(tally.painted / total, 4) if total else None,
        })  # fmt: skip
    elif "quiet" not in arguments:
        shots = f" in {tally.shots} shots" if tally.shots > 1 else ""
        say(f"{film.output}: {tally.frames} frames{shots}")


def _duration(seconds: float) -> str:
    """Returns about how long something takes.

    Example:
      >>> _duration(40), _duration(300), _duration(9000)
      ('40 seconds', '5 minutes', '2.5 hours')
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"
