"""The Python that makes a picture again, with the package's functions.

Most pictures are a few calls, which a reader can change. What these do not cover is made by the
pipeline itself, from the options as they were given. File names and options may come from anybody,
so all of them stand in the code as literals.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from jaxstyle.networks.catalogue import COMPACT, FAST_FILES, FILES, PAINTBOX, VGG19
from jaxstyle.optimization.transfer import Init
from jaxstyle.pipeline.again import texts_of
from jaxstyle.pipeline.first import paintings_of
from jaxstyle.pipeline.firsts import Styles
from jaxstyle.pipeline.job import Job
from jaxstyle.pipeline.metadata import published
from jaxstyle.pipeline.optimise import Optimisation
from jaxstyle.pipeline.painting import Painting
from jaxstyle.pipeline.studio import Studio

# The options that a few calls cover.
_OF_STYLIZE = {
    "init", "network", "no-trim", "preset", "seed", "size", "steps", "strokes", "style-size",
}  # fmt: skip
_OF_APPLY = {
    "blend", "fast-network", "method", "mix", "no-trim", "painting", "polish", "size", "strength",
    "style", "style-size",
}  # fmt: skip


def python_lines(studio: Studio, job: Job, settings: Mapping[str, Any]) -> str:
    """Returns Python that makes a picture again, in the folder of its sources.

    Args:
      studio: that has made it.
      job: of the picture.
      settings: that the picture keeps: those of `Studio.settings`, and the steps that it has had.
    """
    recipe, _ = studio.suited(job)
    lines = None
    if _is_plain(studio, job):
        if isinstance(recipe.method, Optimisation):
            lines = _stylized(studio, job, settings)
        elif isinstance(recipe.method, Painting):
            lines = _painted(studio, job, settings)
    return "\n".join(_by_pipeline(settings, job.output) if lines is None else lines) + "\n"


def _is_plain(studio: Studio, job: Job) -> bool:
    """Tells whether the pictures of a job are taken and shown as they are in their files."""
    covered = {"stylize": _OF_STYLIZE, "apply": _OF_APPLY}.get(job.recipe.command, set())
    if not set(job.recipe.given) <= covered or job.content is None:
        return False
    clear = studio.sources.load(job.content, job.size).alpha is None
    grey = job.recipe.command != "apply" and studio.sources.grey(job)
    return clear and not grey and not studio.sources.trimmed(job)


def _stylized(studio: Studio, job: Job, settings: Mapping[str, Any]) -> list[str] | None:
    """Returns a call of `jaxstyle.stylize`, or None where more is needed."""
    recipe, network = studio.suited(job)
    method, options = recipe.method, recipe.options
    assert isinstance(method, Optimisation)
    assert isinstance(job.recipe.method, Optimisation)
    init = options["init"]
    named = init in get_args(Init)
    own_scales = False if options["network"] in ("auto", COMPACT) else None
    normalized = job.recipe.method.preset.normalized or own_scales
    # Others are normalised over the pictures of the job.
    if network.name not in ((VGG19, COMPACT) if normalized else FILES):
        return None
    if len(method.scales) > 1:  # of the recipe's own
        return None
    if not named and not Path(init).is_file():  # a start of the command's own
        return None
    changes = [f'    "num_steps": {int(settings["step"])},', f'    "noise": {method.noise!r},']
    if named:
        changes.append(f'    "init": {init!r},')
    else:
        file = _file(init, job)
        changes.append(f'    "init": jaxstyle.load_image({file}, shape=content.shape[:2]),')
    if options["seed"]:
        changes.append(f'    "key": jax.random.key({options["seed"]}),')
    return [
        *(["import jax", ""] if options["seed"] else []),
        "import jaxstyle",
        "from jaxstyle.networks.load import load_network",
        "from jaxstyle.presets import get_preset",
        "",
        f"preset = get_preset({method.preset.name!r})",
        f"network = load_network({network.name!r}, normalized={normalized})",
        'params = preset.prepare(network.params, network.metadata["weights"])',
        f"content = jaxstyle.load_image({_file(job.content, job)}, size={job.size})",
        f"style = jaxstyle.load_image({_file(job.style, job)}, size={job.style_size})",
        "options = preset.options(params, content.shape[:2]) | {",
        *changes,
        "}",
        "result = jaxstyle.stylize(params, content, style, **options)",
        f"jaxstyle.save_image({_file(job.output, job)}, result.image)",
    ]


def _painted(studio: Studio, job: Job, settings: Mapping[str, Any]) -> list[str] | None:
    """Returns calls of what paints at once and of the polish, or None where more is needed."""
    method, options = studio.suited(job)[0].method, job.recipe.options
    assert isinstance(method, Painting)
    size = "" if job.size is None else f", size={job.size}"
    head = [f"content = jaxstyle.load_image({_file(job.content, job)}{size})"]
    if method.way == "quick":
        imports, body, style = _in_colours(job, options)
    elif (
        method.way == "network"
        and isinstance(method.first, Styles)
        and "painting" not in options
        and options["fast-network"] in FAST_FILES
    ):
        imports, body, style = _by_network(method.first, options)
    else:
        return None
    if method.polish:
        imports.append(f"from jaxstyle.pipeline.polish import {style.partition('(')[0]}, polish")
        body += [
            f"style = {style}",
            f"for image, _ in polish(image, content, style, {int(settings['step'])}):",
            "    pass",
        ]
    if method.strength != 1:
        body.append(f"image = content + {method.strength!r} * (image - content)")
    return [
        *(["import numpy as np", ""] if any("np." in line for line in body) else []),
        "import jaxstyle",
        *sorted(imports),
        "",
        *head,
        *body,
        f"jaxstyle.save_image({_file(job.output, job)}, image)",
    ]


def _in_colours(job: Job, options: Mapping[str, Any]) -> tuple[list[str], list[str], str]:
    """Returns imports and lines for paintings' colours, and what gives their style."""
    weighed = paintings_of(options)
    side = str(job.style_size or "max(content.shape[:2])")
    names = ", ".join(_file(path, job) for path, _ in weighed)
    body = [
        f"paintings = [jaxstyle.load_image(name, size={side}) for name in [{names}]]",
        f"shares = {[float(share) for _, share in weighed]!r}",
        "image = in_colors_of(paintings, shares, content)",
    ]
    imports = ["from jaxstyle.pipeline.firsts import in_colors_of"]
    return imports, body, "measure_mixture(paintings, shares)"


def _by_network(first: Styles, options: Mapping[str, Any]) -> tuple[list[str], list[str], str]:
    """Returns imports and lines for a pass of a network, and what gives its style."""
    blend = options.get("blend", {options.get("style", first.styles[0].name): 1.0})
    named = options.get("fast-network", PAINTBOX)
    body = [
        f"network = load_network(find_fast_network({named!r}))",
        f"weights = network.weigh({dict(blend)!r})",
        "shape = round_up(content.shape[:2])  # whose program other sizes share",
        "image = paint_into(",
        "    shape, network.params, np.asarray(content), weights, network.architecture",
        ")",
    ]
    imports = [
        "from jaxstyle.feedforward.files import load_network",
        "from jaxstyle.networks.catalogue import find_fast_network",
        "from jaxstyle.pipeline.one_pass import paint_into, round_up",
    ]
    return imports, body, "mix_statistics(network.statistics, weights)"


def _by_pipeline(settings: Mapping[str, Any], output: Path) -> Iterator[str]:
    """Yields lines that make any picture, from its options."""
    command = settings["command"]
    content, style = (
        f"Path({str(settings[name])!r})" if settings[name] else "None"
        for name in ("content", "style")
    )
    yield from (
        "from pathlib import Path",
        "",
        "from jaxstyle.pipeline.job import group, make_batches, make_job",
        "from jaxstyle.pipeline.options import parse_options",
        "from jaxstyle.pipeline.run import run_batch",
        "from jaxstyle.pipeline.sinks import PictureFile",
        "from jaxstyle.pipeline.studio import Studio",
        "",
        "texts = {",
    )
    for name, text in texts_of(settings).items():
        yield f"    {name!r}: {text!r},"
    yield from (
        "}",
        f"options = parse_options({command!r}, texts)",
        f"job = make_job({command!r}, {content}, {style}, Path({output.name!r}), options)",
        "studio = Studio([job])",
        "[(program, jobs)] = group(studio.shape, [job]).items()",
        "[batch] = make_batches(program, jobs, 1)",
        "run_batch(studio, batch, lambda _: [PictureFile(studio)])",
    )


def _file(path: Path | str | None, job: Job) -> str:
    """Returns the literal of a file's name, as the picture calls it."""
    return repr(published(str(path), job.output.parent))
