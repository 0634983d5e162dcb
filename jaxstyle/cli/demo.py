"""`jaxstyle demo`: a first picture from what the package ships, without a download."""

from pathlib import Path
from typing import Any

from jaxstyle import samples
from jaxstyle.cli import apply, pictures
from jaxstyle.cli.printing import say
from jaxstyle.errors import usage_errors
from jaxstyle.image import io
from jaxstyle.image.pixels import side_by_side
from jaxstyle.networks.catalogue import FILES
from jaxstyle.pipeline.outputs import Output, check_outputs

_OF_BOTH = ("size", "quality", "bit-depth", "dry-run", "json", "quiet")


def demo(arguments: dict[str, Any]) -> int:
    """`jaxstyle demo [-o OUT]`."""
    output = Path(arguments.setdefault("output", "jaxstyle-demo.png"))
    beside, fast = (
        output.with_name(f"{output.stem}-{name}{output.suffix}")
        for name in ("side-by-side", "fast")
    )
    with usage_errors():
        for path in (output, beside, fast):
            io.check_output_path(path)
    network = arguments.setdefault("network", "compact")
    inputs = [samples.LAKE, samples.SWIRLS, Path(network)]
    check_outputs([Output("output", path) for path in (output, beside, fast)], inputs)
    if network not in FILES and not Path(network).is_file():
        raise FileNotFoundError(f"{network}: no such file; use {', '.join(FILES)} or a file")
    arguments.setdefault("steps", 80)
    arguments.setdefault("size", 320)
    talk = not {"json", "quiet"} & set(arguments)
    if talk:
        say("A sample photograph in the style of a sample painting:")
    kept = {name: arguments[name] for name in _OF_BOTH if name in arguments}
    painted = {"photographs": [str(samples.LAKE)], "output": str(fast), "style": "swirls"}
    status = apply.apply(kept | painted)
    if status:
        return status
    if talk:
        say(f"That was a network's single pass. The same with {network}, step by step:")
    status = pictures.stylize(
        arguments | {"contents": str(samples.LAKE), "styles": [str(samples.SWIRLS)]}
    )
    if status:
        return status
    try:
        row = [io.load_image(path) for path in (samples.LAKE, samples.SWIRLS, fast, output)]
        io.save_image(beside, side_by_side(row))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; {output} is done") from None
    if talk:
        say(f"{beside}: photograph, painting, single pass and result")
        print(
            "Next, with pictures of yours:\n"
            "  jaxstyle apply photo.jpg -o out.png --style starry-night\n"
            "  jaxstyle stylize photo.jpg painting.jpg -o out.png\n"
            "The second uses VGG-19, which does better; it is downloaded once (80 MB).\n"
            "With --network compact, jaxstyle stays with the network that came with it.\n"
            "jaxstyle stylize --help lists the options: --style-weight, --size and so on."
        )
    return 0
