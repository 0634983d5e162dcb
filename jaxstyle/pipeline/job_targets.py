"""The targets of jobs: what their pictures are compared with, from the files that options name."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from jax import Array

from jaxstyle.errors import usage_errors
from jaxstyle.losses.calm import part_painting
from jaxstyle.losses.emphasis import Emphasis
from jaxstyle.losses.guidance import limit_rooms, mix_regions
from jaxstyle.losses.guides import region_masses, spot
from jaxstyle.losses.mixing import blend_styles, mix_styles
from jaxstyle.losses.spec import LossSpec
from jaxstyle.losses.targets import (
    Mixture,
    Targets,
    content_targets,
    measure_style,
)
from jaxstyle.networks.vgg import Params
from jaxstyle.pipeline.file_options import FACES, RegionOption
from jaxstyle.pipeline.job import Job
from jaxstyle.pipeline.point_options import Place, PointOption, Points
from jaxstyle.pipeline.sources import Seen, Sources, seen_style

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
        options, params = job.recipe.options, self._params(job.network_key)
        seen = self._sources.seen_content(job)
        content = self._sources.see(seen)
        emphasis = Emphasis(self._sources.kept(job, shape), self._protected(job, shape))
        rooms: Sequence[Array | None] = [emphasis.room]
        if calm := options.get("calm"):
            assert content is not None
            rooms = limit_rooms(emphasis.room, content, calm)
        style, mixture = self._style(job, spec, shape, rooms)
        measured = self._content_targets(seen, emphasis.spec(spec, params), job.network_key)
        targets = emphasis.place(measured, params, content, spec)
        return targets._replace(style=style, mixture=mixture)

    def _protected(self, job: Job, shape: tuple[int, int]) -> Array | None:
        """Returns the mask of what stays recognisable, if anything does."""
        name = job.recipe.options.get("protect")
        if name is None:
            return None
        if name != FACES:
            return self._sources.mask(Path(name), shape)
        assert job.content is not None
        return self._sources.faces(job.content, shape)

    def _style(
        self, job: Job, spec: LossSpec, shape: tuple[int, int], rooms: Sequence[Array | None]
    ) -> tuple[dict[str, Any], Mixture | None]:
        """Returns the styles of a job, each once for every part of the picture that has a room."""
        options = job.recipe.options
        if job.style is None:
            return {}, None
        parts = range(len(rooms))
        calm = options.get("calm", 0.0)

        def measure(
            name: str | Path | None, mask: str | Place | None = None
        ) -> list[dict[str, Any]]:
            seen = seen_style(Path(name or str(job.style)), job)
            if mask is not None:  # it was drawn over the painting as it is in its file
                seen = seen._replace(trim=False)
            mode = options.get("guides", "simple")
            return [
                self._style_targets(
                    seen, spec, job.network_key, mask, mode, (calm, part) if calm else None
                )
                for part in parts
            ]

        if "regions" in options:
            return self._regions(job, spec, shape, rooms, measure)
        if "point" in options:
            return self._points(job, spec, shape, rooms, measure)
        weights = [1.0]
        if "mix" in options:
            styles = [measure(share.style) for share in options["mix"]]
            weights = [share.weight for share in options["mix"]]
            if options.get("mix-by") == "targets":
                styles = [[blend_styles([s[part] for s in styles], weights) for part in parts]]
                weights = [1.0]
        else:
            styles = [measure(job.style)]
        if "fine-style" in options:
            fine = measure(options["fine-style"])
            styles = [
                [_with_fine_scales(*each) for each in zip(own, fine, strict=True)] for own in styles
            ]
        if rooms == [None]:
            flat = [own[0] for own in styles]
            return (flat[0], None) if len(flat) == 1 else mix_styles(flat, weights)
        masks = [jnp.ones(shape)] * len(styles)
        return self._guided(job, spec, styles, masks, weights=weights, rooms=rooms)

    def _regions(
        self,
        job: Job,
        spec: LossSpec,
        shape: tuple[int, int],
        rooms: Sequence[Array | None],
        measure: Callable[..., list[dict[str, Any]]],
    ) -> tuple[dict[str, Any], Mixture]:
        options = job.recipe.options
        regions: tuple[RegionOption, ...] = options["regions"]
        return self._guided(
            job, spec,
            [measure(region.style, region.style_mask) for region in regions],
            self._sources.region_masks(regions, shape),
            weights=[region.weight for region in regions],
            rooms=rooms,
            names=[region.mask for region in regions],
        )  # fmt: skip

    def _points(
        self,
        job: Job,
        spec: LossSpec,
        shape: tuple[int, int],
        rooms: Sequence[Array | None],
        measure: Callable[..., list[dict[str, Any]]],
    ) -> tuple[dict[str, Any], Mixture]:
        """Returns the parts of the painting around points, each for its part of the picture."""
        points: tuple[PointOption, ...] = job.recipe.options["point"]
        spots = [spot(shape, point.content) for point in points]
        rest = jnp.clip(1 - sum(spots[1:], start=spots[0]), 0.0, 1.0)
        return self._guided(
            job, spec,
            [*(measure(None, point.style) for point in points), measure(None)],
            [*spots, rest],
            weights=[1.0] * (len(points) + 1),
            rooms=rooms,
            names=[*Points().texts(points), "of the rest"],
        )  # fmt: skip

    def _guided(
        self,
        job: Job,
        spec: LossSpec,
        styles: Sequence[Sequence[dict[str, Any]]],
        masks: Sequence[Array],
        *,
        weights: Sequence[float],
        rooms: Sequence[Array | None],
        names: Sequence[str] | None = None,
    ) -> tuple[dict[str, Any], Mixture]:
        """Returns styles that share the picture by masks; unnamed ones share all of its room."""
        parts = len(rooms)

        def repeat(values: Sequence[Any]) -> list[Any]:
            return [value for value in values for _ in range(parts)]

        limits = (
            each for each in ("keep", "only", "protect", "calm") if each in job.recipe.options
        )
        own = next((each for each in ("regions", "point") if each in job.recipe.options), None)
        with usage_errors(own or next(limits)):
            return mix_regions(
                [part for style in styles for part in style],
                repeat(masks),
                self._params(job.network_key),
                spec,
                weights=repeat(weights),
                rooms=[*rooms] * len(masks),
                mode=job.recipe.options.get("guides", "simple"),
                names=repeat(names or ["of the whole picture"] * len(masks)),
            )

    def _measure_content(self, seen: Seen | None, spec: LossSpec, key: tuple[Any, ...]) -> Targets:
        image = self._sources.see(seen)
        if image is not None:
            image = self._lay_out(image)
        return content_targets(self._params(key), image, spec)

    def _measure_style(
        self,
        seen: Seen,
        spec: LossSpec,
        key: tuple[Any, ...],
        mask: str | Place | None,
        mode: Any,
        calm: tuple[float, int] | None,
    ) -> dict[str, Any]:
        image = self._sources.see(seen)
        assert image is not None
        counts = None
        if isinstance(mask, str):
            counts = self._sources.mask(Path(mask), (image.shape[0], image.shape[1]))
        elif mask is not None:
            counts = spot(image.shape, mask)
        if calm is not None:
            amount, part = calm
            counts = part_painting(image, amount, counts)[part]
        mass = None
        if counts is not None:
            name = mask if isinstance(mask, str) else str(seen.path)
            option = "regions" if isinstance(mask, str) else "point"
            with usage_errors(option if mask else "calm"):
                mass = region_masses(counts, self._params(key), spec, mode=mode, name=name)
        targets: dict[str, Any] = measure_style(self._params(key), image, spec=spec, mass=mass)
        return targets


def _with_fine_scales(own: dict[str, Any], fine: dict[str, Any]) -> dict[str, Any]:
    """Returns a style whose first blocks are those of another painting."""
    return {k: (fine if k[4] in _FINE_BLOCKS else own)[k] for k in own}
