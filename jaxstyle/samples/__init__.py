"""Two pictures that the project draws itself, for first tries.

`scripts/reproduction/draw_samples.py` draws them. `LAKE` is the path of a photograph's stand-in,
`SWIRLS` that of a painting's; both are PNG files of 384×288 pixels, under the project's licence.

Example:
  >>> from jaxstyle import load_image
  >>> load_image(LAKE).shape
  (288, 384, 3)
"""

from pathlib import Path

LAKE = Path(__file__).parent / "lake.png"
SWIRLS = Path(__file__).parent / "swirls.png"
