"""What a job's picture is compared with: targets from the files that its options name."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from jax import Array

from jaxstyle._common import sharding
from jaxstyle.image.io import Picture
from jaxstyle.losses import guidance
from jaxstyle.losses.spec import LossSpec
from jaxstyle.losses.targets import (
    Kept,
    Mixture,
    Targets,
    blend_styles,
    measure_content,
    measure_style,
    mix_styles,
)
from jaxstyle.networks.vgg import Params
from jaxstyle.pipeline import file_options, recolor
from jaxstyle.pipeline.file_options import REST, RegionOption
from jaxstyle.pipeline.job import Job
from jaxstyle.pipeline.recolor import Seen

_FINE_BLOCKS = "12"


class Aims:
    """Makes targets of jobs, each part of them once.

    Args:
      load: reads a file at a longer side `size`, or at a `shape`, as `load_picture`.
      params: the parameters of a network by its key; see `jaxstyle.pipeline.job.Job.network_key`.
      split_rows: whether the rows of what is of the picture's size are spread over all devices.
    """

    def __init__(
        self,
        load: Callable[..., Picture],
        params: Callable[[tuple[Any, ...]], Params],
        *,
        split_rows: bool = False,
    ):
        self._load, self._params, self._split_rows = load, params, split_rows
        self._see = functools.lru_cache(maxsize=4)(lambda seen: recolor.see(seen, load))
        self._content_targets = functools.lru_cache(maxsize=8)(self._measure_content)
        self._style_targets = functools.lru_cache(maxsize=256)(self._measure_style)
        self._masks = functools.lru_cache(maxsize=16)(self._read_mask)

    def pictures(self, job: Job) -> tuple[Array | None, Array | None]:
        """The job's photograph and painting, as the optimisation sees them."""
        style = None if job.style is None else self._see(recolor.seen_style(job.style, job))
        return self._see(recolor.seen_content(job)), style

    def targets(self, job: Job, shape: tuple[int, int]) -> Targets:
        """The job's targets.

        Args:
          job: the job.
          shape: height and width of its picture.

        Raises:
          ValueError: if a mask is empty at a layer, or cannot be read.
        """
        options, spec = job.recipe.options, job.recipe.spec
        style, mixture = self._style(job, shape)
        kept = None
        if "keep" in options:
            photograph = self._see(recolor.seen_content(job))
            assert photograph is not None
            kept = Kept(self._masks(Path(options["keep"]), shape), photograph)
        return Targets(
            content=self._content_targets(recolor.seen_content(job), spec, job.network_key),
            style=style,
            mixture=mixture,
            kept=kept,
        )

    def _style(self, job: Job, shape: tuple[int, int]) -> tuple[dict[str, Any], Mixture | None]:
        options, spec = job.recipe.options, job.recipe.spec
        if job.style is None:
            return {}, None

        def measure(name: str | Path | None, region: RegionOption | None = None) -> dict[str, Any]:
            seen = recolor.seen_style(Path(name or str(job.style)), job)
            mask = None if region is None else region.style_mask
            mode = options.get("guides", "simple")
            return self._style_targets(seen, spec, job.network_key, mask, mode)

        if "regions" in options:
            return self._regions(job, shape, measure)
        if "mix" in options:
            shares = file_options.parse_mix(options["mix"])
            styles = [measure(share.style) for share in shares]
            weights = [share.weight for share in shares]
            if options.get("mix_by") == "targets":
                return blend_styles(styles, weights), None
            return mix_styles(styles, weights)
        own = measure(job.style)
        if "fine_style" in options:
            fine = measure(options["fine_style"])
            own = {k: fine[k] if k[4] in _FINE_BLOCKS else own[k] for k in own}
        return own, None

    def _regions(
        self, job: Job, shape: tuple[int, int], measure: Callable[..., dict[str, Any]]
    ) -> tuple[dict[str, Any], Mixture | None]:
        options, spec = job.recipe.options, job.recipe.spec
        regions = file_options.parse_regions(options["regions"])
        named = {r.mask: self._masks(Path(r.mask), shape) for r in regions if r.mask != REST}
        rest = jnp.clip(1 - sum(named.values(), start=jnp.zeros(shape)), 0.0, 1.0)
        masks = [named.get(region.mask, rest) for region in regions]
        return guidance.mix_regions(
            [measure(region.style, region) for region in regions],
            masks,
            self._params(job.network_key),
            spec,
            weights=[region.weight for region in regions],
            mode=options.get("guides", "simple"),
            names=[region.mask for region in regions],
        )

    def _read_mask(self, path: Path, shape: tuple[int, int]) -> Array:
        return jnp.mean(jnp.asarray(self._load(path, shape=shape).image), axis=2)

    def _measure_content(
        self, seen: Seen | None, spec: LossSpec, key: tuple[Any, ...]
    ) -> dict[str, Array]:
        image = self._see(seen)
        if image is None:
            return {}
        if self._split_rows:
            image = sharding.shard_rows(image)
        targets: dict[str, Array] = measure_content(self._params(key), image, spec=spec)
        return targets

    def _measure_style(
        self, seen: Seen, spec: LossSpec, key: tuple[Any, ...], mask: str | None, mode: Any
    ) -> dict[str, Any]:
        image = self._see(seen)
        assert image is not None
        mass = None
        if mask is not None:
            shaped = self._masks(Path(mask), image.shape[:2])
            params = self._params(key)
            mass = guidance.region_masses(shaped, params, spec, mode=mode, name=mask)
        targets: dict[str, Any] = measure_style(self._params(key), image, spec=spec, mass=mass)
        return targets
