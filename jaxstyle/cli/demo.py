"""`jaxstyle demo`: a first picture from what the package ships, without a download."""

from pathlib import Path
from typing import Any

from jaxstyle import samples
from jaxstyle.cli import pictures
from jaxstyle.cli.printing import say
from jaxstyle.errors import usage_errors
from jaxstyle.image import io
from jaxstyle.image.pixels import side_by_side
from jaxstyle.pipeline.outputs import Output, check_outputs


def demo(arguments: dict[str, Any]) -> int:
    """`jaxstyle demo [-o OUT]`."""
    output = Path(arguments.setdefault("output", "jaxstyle-demo.png"))
    beside = output.with_name(f"{output.stem}-side-by-side{output.suffix}")
    with usage_errors():
        for path in (output, beside):
            io.check_output_path(path)
    network = arguments.setdefault("network", "compact")
    inputs = [samples.LAKE, samples.SWIRLS, Path(network)]
    check_outputs([Output("output", output), Output("output", beside)], inputs)
    arguments.setdefault("steps", 80)
    arguments.setdefault("size", 320)
    talk = not {"json", "quiet"} & set(arguments)
    if talk:
        say(f"A sample photograph in the style of a sample painting, with {network}:")
    status = pictures.stylize(
        arguments | {"contents": str(samples.LAKE), "styles": [str(samples.SWIRLS)]}
    )
    if status:
        return status
    try:
        row = [io.load_image(path) for path in (samples.LAKE, samples.SWIRLS, output)]
        io.save_image(beside, side_by_side(row))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; {output} is done") from None
    if talk:
        say(f"{beside}: photograph, painting and result")
        print(
            "Next, with pictures of yours:\n"
            "  jaxstyle stylize photo.jpg painting.jpg -o out.png\n"
            "This uses VGG-19, which does better; it is downloaded once (80 MB).\n"
            "With --network compact, jaxstyle stays with the network that came with it.\n"
            "jaxstyle stylize --help lists the options: --style-weight, --size and so on."
        )
    return 0
