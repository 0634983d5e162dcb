"""Makes the pictures of the papers' figures, and holds what a figure consists of."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxstyle
from jaxstyle import LossSpec, LossWeights
from jaxstyle.evaluate import losses_by_layer
from jaxstyle.image import pixels
from jaxstyle.networks import vgg
from jaxstyle.optimization.presets import get_preset
from scripts.reproduction.sheets import digest

PHOTOGRAPH = "tubingen_praefcke.jpg"
NIGHT = "starry-night.jpg"
# α/β of means. The four decades around it lead from the painting's texture to the photograph.
RATIO = 1e-2
RATIOS = (1e-4, 1e-3, 1e-2, 1e-1, 1e0)


class Cell(NamedTuple):
    """Holds a picture and what is written under it."""

    picture: jax.Array
    lines: Sequence[str]


class Check(NamedTuple):
    """Holds something that a paper says, and whether it was found.

    Attributes:
      text: what is measured, with its numbers.
      holds: whether it is as the paper says.
      soon: whether a few steps are enough for it.
    """

    text: str
    holds: bool
    soon: bool = False


class Figure(NamedTuple):
    """Holds what a figure's page consists of.

    Attributes:
      title: the paper's number or year, and what the figure shows.
      look_for: what to see in the pictures.
      rows: the label and the pictures of each row.
      checks: what is measured.
    """

    title: str
    look_for: str
    rows: list[tuple[str, list[Cell]]]
    checks: list[Check]


class PictureMaker:
    """Makes pictures with one network and one photograph, or finds them in a folder.

    Attributes:
      params: the network's parameters.
      size: the longer side of the pictures.
      steps: the number of steps for each picture.
      quick: whether fewer pictures will do.
      photograph: the photograph of all figures, `[H, W, 3]`.
      shape: its height and width.
      made: how many pictures were made because they were not found.
    """

    def __init__(
        self, params: vgg.Params, data: Path, work: Path, size: int, steps: int, quick: bool
    ):
        self.params, self.size, self.steps, self.quick = params, size, steps, quick
        self.made = 0
        self._data, self._pictures = data, work
        self._pictures.mkdir(parents=True, exist_ok=True)
        self._network = digest("", params)
        self.photograph = jaxstyle.load_image(data / "content" / PHOTOGRAPH, size)
        self.shape = (self.photograph.shape[0], self.photograph.shape[1])

    def painting(self, name: str, folder: str = "style") -> jax.Array:
        """Reads the middle of a painting, in the proportions and the size of the photograph.

        In the paper, too, the style image gets the content image's size. Besides, pictures of one
        shape share compiled programs.
        """
        image = jaxstyle.load_image(self._data / folder / name, 2 * self.size)
        height, width = image.shape[:2]
        unit = min(height / self.shape[0], width / self.shape[1])
        tall, wide = (round(side * unit) for side in self.shape)
        top, left = (height - tall) // 2, (width - wide) // 2
        return pixels.resize(image[top : top + tall, left : left + wide], self.shape)

    def spec(self, content: str = "relu4_2") -> LossSpec:
        """Returns what the paper compares, with one content layer."""
        return dataclasses.replace(get_preset("gatys2016").spec, content_layers=(content,))

    def weights(self, ratio: float = RATIO) -> LossWeights:
        """Returns the weights for a ratio α/β of means; each style layer gets a fifth of β."""
        return LossWeights(content=ratio, style=1 / 5)

    def options(self, ratio: float = RATIO, **changes: Any) -> dict[str, Any]:
        """Returns the paper's settings, with changes."""
        options = {"spec": self.spec(), "weights": self.weights(ratio), "init": "noise"}
        return options | {"num_steps": self.steps} | changes

    def measure(
        self,
        picture: jax.Array,
        style: jax.Array,
        content: jax.Array | None = None,
    ) -> tuple[float, float]:
        """Returns the unweighted content and style loss of a picture, at the paper's layers."""
        content = self.photograph if content is None else content
        targets = jaxstyle.compute_targets(self.params, content, style, self.spec())
        losses = losses_by_layer(self.params, picture, targets, spec=self.spec())
        return total(losses, "content"), total(losses, "style")

    def few(self, things: Sequence[Any], count: int) -> list[Any]:
        """Returns all of them; in a quick run only a few, from the first to the last."""
        if not self.quick or len(things) <= count:
            return list(things)
        places = np.linspace(0, len(things) - 1, count).round().astype(int)
        return [things[i] for i in places]

    def make(
        self, function: Callable[..., Any], *images_: Any, seed: int = 0, **options: Any
    ) -> jax.Array:
        """Returns the picture that a function of the library makes, as it is saved.

        A picture that lies in the folder already is read from there.

        Args:
          function: takes the network's parameters first, as `jaxstyle.stylize` does;
            `jaxstyle.optimize`, which takes them second, is known too.
          *images_: the images and other arguments beside the parameters.
          seed: the seed of the noise in the start.
          **options: options of the function.
        """
        given = {"images": images_, "options": options}
        leaves = jax.tree_util.tree_leaves_with_path(given)
        arrays = [leaf for _, leaf in leaves if isinstance(leaf, jax.Array)]
        text = " ".join(
            f"{jax.tree_util.keystr(path)}={leaf.shape if isinstance(leaf, jax.Array) else leaf}"
            for path, leaf in leaves
        )
        name = f"{function.__name__}-{digest(f'{self._network} {seed} {text}', arrays)}"
        path = self._pictures / f"{name}.png"
        if not path.exists():
            if function is jaxstyle.optimize:
                start, *rest = images_
                result = function(start, self.params, *rest, **options)
            else:
                result = function(self.params, *images_, key=jax.random.key(seed), **options)
            self.made += 1
            jaxstyle.save_image(path, result.image)
            print(f"made {path}", flush=True)
        return jaxstyle.load_image(path)


def total(losses: Mapping[str, Any], kind: str) -> float:
    """Returns the sum of the content or of the style losses."""
    return sum(float(loss) for name, loss in losses.items() if name.startswith(f"{kind}/"))


def rmse(image: jax.Array, other: jax.Array) -> float:
    """Returns the root mean squared difference of pixels."""
    return float(np.sqrt(np.mean(np.square(np.asarray(image) - np.asarray(other)))))


def halve(image: jax.Array) -> jax.Array:
    """Returns the image at half its size."""
    return pixels.resize(image, (image.shape[0] // 2, image.shape[1] // 2))


def falls(values: Sequence[float]) -> bool:
    """Tells whether each value is less than the one before."""
    return all(b < a for a, b in itertools.pairwise(values))


def numbers(values: Sequence[float]) -> str:
    """Returns numbers for a line of text."""
    return ", ".join(f"{value:.3g}" for value in values)
