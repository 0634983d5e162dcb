"""Emphasis: where the photograph counts for more than elsewhere, and the painting for less.

Styles are compared by statistics that forget where things are. What should stay, or be painted with
care, has to weigh less in them, and more in the content loss. Masks are `[H, W]`, and layers see
them as guides; see `jaxstyle.losses.guides`.
"""

import dataclasses
from typing import NamedTuple

from jax import Array

from jaxstyle.losses.guides import propagate
from jaxstyle.losses.spec import LossSpec
from jaxstyle.losses.targets import Kept, Targets, content_targets
from jaxstyle.networks import vgg

# What a protected region takes, chosen by eye on faces: less of the style, more of the content, and
# the content of two finer layers, which hold eyes and mouths in place.
_STYLE = 0.75
_CONTENT = 3.0
_FINE = 0.5
_FINE_LAYERS = ("relu2_1", "relu3_1")


class Emphasis(NamedTuple):
    """What of the photograph a style may not change, or not much.

    Attributes:
      keep: `[H, W]`, 1 where the photograph stays untouched; None for nowhere.
      protect: `[H, W]`, 1 where it stays recognisable; None for nowhere.
    """

    keep: Array | None = None
    protect: Array | None = None

    @property
    def room(self) -> Array | None:
        """How much of each pixel a style may change, `[H, W]`; None for all of it."""
        free = None if self.keep is None else 1 - self.keep
        if self.protect is None:
            return free
        gentle = 1 - (1 - _STYLE) * self.protect
        return gentle if free is None else free * gentle

    def spec(self, spec: LossSpec, params: vgg.Params) -> LossSpec:
        """Returns the spec by which the content image is measured, finer layers included."""
        if self.protect is None or not spec.content_layers:
            return spec
        known = vgg.layer_names(vgg.network_widths(params))
        fine = (each for each in _FINE_LAYERS if each in known)
        layers = tuple(dict.fromkeys((*spec.content_layers, *fine)))
        return dataclasses.replace(spec, content_layers=layers)

    def targets(self, params: vgg.Params, content: Array | None, spec: LossSpec) -> Targets:
        """Returns the targets that the content image gives.

        Args:
          params: the network's parameters.
          content: `[H, W, 3]` in [0, 1], or None if nothing measures it.
          spec: what is compared.
        """
        return self.place(
            content_targets(params, content, self.spec(spec, params)), params, content, spec
        )

    def place(
        self, targets: Targets, params: vgg.Params, content: Array | None, spec: LossSpec
    ) -> Targets:
        """Returns targets that keep and protect what they should; see `targets`.

        Args:
          targets: of the content image, measured by this emphasis' own `spec`.
          params: the network's parameters.
          content: `[H, W, 3]`, what is seen where the picture is kept.
          spec: what is compared.
        """
        if self.keep is not None and content is not None:
            targets = targets._replace(kept=Kept(self.keep, content))
        if self.protect is None:
            return targets
        guides = propagate(self.protect, list(targets.content), vgg.network_widths(params))
        weights = {
            layer: 1 + (_CONTENT - 1) * guide if layer in spec.content_layers else _FINE * guide
            for layer, guide in guides.items()
        }
        return targets._replace(content_weights=weights)
