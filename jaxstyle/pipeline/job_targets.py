"""The targets of jobs: what their pictures are compared with, from the files that options name."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from jax import Array

from jaxstyle.errors import OptionError, usage_errors
from jaxstyle.losses import guidance
from jaxstyle.losses.spec import LossSpec
from jaxstyle.losses.targets import (
    Kept,
    Mixture,
    Targets,
    blend_styles,
    content_targets,
    measure_style,
    mix_styles,
)
from jaxstyle.networks.vgg import Params
from jaxstyle.pipeline.file_options import REST, RegionOption
from jaxstyle.pipeline.job import Job
from jaxstyle.pipeline.sources import Seen, Sources, seen_content, seen_style

_FINE_BLOCKS = "12"


class JobTargets:
    """Makes the targets of jobs, and measures each picture once.

    Args:
      sources: reads the pictures.
      params: returns the parameters of a network by its key; see `Job.network_key`.
      lay_out: spreads an image of the picture's size over devices, or leaves it where it is.
    """

    def __init__(
        self,
        sources: Sources,
        params: Callable[[tuple[Any, ...]], Params],
        lay_out: Callable[[Array], Array],
    ):
        self._sources, self._params, self._lay_out = sources, params, lay_out
        self._content_targets = functools.lru_cache(maxsize=8)(self._measure_content)
        self._style_targets = functools.lru_cache(maxsize=256)(self._measure_style)

    def __call__(self, job: Job, spec: LossSpec, shape: tuple[int, int]) -> Targets:
        """Returns the targets of a job.

        Args:
          job: the job.
          spec: what is compared.
          shape: height and width of its picture.

        Raises:
          UsageError: if a region has no position left at a layer.
          OSError, FileFormatError: if a file cannot be read.
        """
        kept = self._kept(job, shape)
        style, mixture = self._style(job, spec, shape, None if kept is None else 1 - kept.mask)
        targets: Targets = self._content_targets(seen_content(job), spec, job.network_key)
        return targets._replace(style=style, mixture=mixture, kept=kept)

    def _kept(self, job: Job, shape: tuple[int, int]) -> Kept | None:
        """Returns what of the photograph is left untouched, if anything is."""
        options = job.recipe.options
        option = next((name for name in ("keep", "only") if name in options), None)
        if option is None:
            return None
        path = Path(options[option])
        mask = self._sources.mask(path, shape)
        mask = mask if option == "keep" else 1 - mask
        if float(jnp.min(mask)) >= 1:
            colour = "white" if option == "keep" else "black"
            raise OptionError(
                "{} {path}: the mask is {colour} everywhere, so nothing is left to paint", option,
                path=path, colour=colour,
            )  # fmt: skip
        photograph = self._sources.see(seen_content(job))
        assert photograph is not None
        return Kept(mask, photograph)

    def _style(
        self, job: Job, spec: LossSpec, shape: tuple[int, int], room: Array | None
    ) -> tuple[dict[str, Any], Mixture | None]:
        options = job.recipe.options
        if job.style is None:
            return {}, None

        def measure(name: str | Path | None, region: RegionOption | None = None) -> dict[str, Any]:
            seen = seen_style(Path(name or str(job.style)), job)
            mask = None if region is None else region.style_mask
            mode = options.get("guides", "simple")
            return self._style_targets(seen, spec, job.network_key, mask, mode)

        if "regions" in options:
            return self._regions(job, spec, shape, room, measure)
        weights = [1.0]
        if "mix" in options:
            styles = [measure(share.style) for share in options["mix"]]
            weights = [share.weight for share in options["mix"]]
            if options.get("mix-by") == "targets":
                styles, weights = [blend_styles(styles, weights)], [1.0]
        else:
            styles = [measure(job.style)]
        if "fine-style" in options:
            fine = measure(options["fine-style"])
            styles = [
                {k: (fine if k[4] in _FINE_BLOCKS else own)[k] for k in own} for own in styles
            ]
        if room is not None:
            masks = [jnp.ones(shape)] * len(styles)
            return self._guided(job, spec, styles, masks, weights=weights, room=room)
        return (styles[0], None) if len(styles) == 1 else mix_styles(styles, weights)

    def _regions(
        self,
        job: Job,
        spec: LossSpec,
        shape: tuple[int, int],
        room: Array | None,
        measure: Callable[..., dict[str, Any]],
    ) -> tuple[dict[str, Any], Mixture]:
        options = job.recipe.options
        regions: tuple[RegionOption, ...] = options["regions"]
        named = {r.mask: self._sources.mask(Path(r.mask), shape) for r in regions if r.mask != REST}
        rest = jnp.clip(1 - sum(named.values(), start=jnp.zeros(shape)), 0.0, 1.0)
        masks = [named.get(region.mask, rest) for region in regions]
        styles = [measure(region.style, region) for region in regions]
        return self._guided(
            job, spec, styles, masks, room=room,
            weights=[region.weight for region in regions],
            names=[region.mask for region in regions],
        )  # fmt: skip

    def _guided(
        self,
        job: Job,
        spec: LossSpec,
        styles: Sequence[dict[str, Any]],
        masks: Sequence[Array],
        *,
        weights: Sequence[float],
        room: Array | None,
        names: Sequence[str] | None = None,
    ) -> tuple[dict[str, Any], Mixture]:
        """Returns styles that share the picture by masks; unnamed ones share all of its room."""
        with usage_errors("regions" if names else None):
            return guidance.mix_regions(
                styles,
                masks,
                self._params(job.network_key),
                spec,
                weights=weights,
                room=room,
                mode=job.recipe.options.get("guides", "simple"),
                names=names or [str(i) for i in range(len(styles))],
            )

    def _measure_content(self, seen: Seen | None, spec: LossSpec, key: tuple[Any, ...]) -> Targets:
        image = self._sources.see(seen)
        if image is not None:
            image = self._lay_out(image)
        return content_targets(self._params(key), image, spec)

    def _measure_style(
        self, seen: Seen, spec: LossSpec, key: tuple[Any, ...], mask: str | None, mode: Any
    ) -> dict[str, Any]:
        image = self._sources.see(seen)
        assert image is not None
        mass = None
        if mask is not None:
            shaped = self._sources.mask(Path(mask), image.shape[:2])
            with usage_errors("regions"):
                mass = guidance.region_masses(shaped, self._params(key), spec, mode=mode, name=mask)
        targets: dict[str, Any] = measure_style(self._params(key), image, spec=spec, mass=mass)
        return targets
