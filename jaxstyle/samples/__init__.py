"""Two pictures for first tries, which the project draws itself.

`LAKE` is the path of a picture that stands in for a photograph, `SWIRLS` that of one that stands in
for a painting. Both are PNG files of 384×288 pixels, under the project's licence.

Example:
  >>> from jaxstyle import load_image
  >>> load_image(LAKE).shape
  (288, 384, 3)
"""

from pathlib import Path

LAKE = Path(__file__).parent / "lake.png"
SWIRLS = Path(__file__).parent / "swirls.png"
