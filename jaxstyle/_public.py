"""What `jaxstyle` exports, imported at once when any of it is first used: JAX takes a second."""

import importlib
from typing import TYPE_CHECKING, Any

from jaxstyle import solvers
from jaxstyle._common import huge_pages as pages
from jaxstyle._common.sharding import shard_rows
from jaxstyle.image import animation, color
from jaxstyle.image.pixels import quantize, resize
from jaxstyle.losses import statistics
from jaxstyle.losses.functional import content_loss, gram_matrix, style_loss
from jaxstyle.losses.guidance import Region, guided_targets
from jaxstyle.losses.mixing import blend_styles, mix_styles
from jaxstyle.losses.objective import ObjectiveValue, objective, objective_and_gradient
from jaxstyle.losses.spec import LossSpec, LossWeights, OwnLoss
from jaxstyle.losses.targets import (
    Kept,
    Mixture,
    Targets,
    compute_targets,
)
from jaxstyle.networks.rescaling import normalize_params
from jaxstyle.networks.spec import VGGSpec
from jaxstyle.networks.vgg import features, init_params
from jaxstyle.optimization import presets
from jaxstyle.optimization.descent import Result, descend, optimize
from jaxstyle.optimization.grid import Grid, stylize_grid
from jaxstyle.optimization.memory import MemoryPlan, plan_memory
from jaxstyle.optimization.multiscale import enlarge, make_scales, stylize_coarse_to_fine
from jaxstyle.optimization.transfer import (
    OptimizeOptions,
    StylizeOptions,
    reconstruct_content,
    stylize,
    synthesize_texture,
)

if TYPE_CHECKING:
    from jaxstyle.image.io import load_image, save_image
    from jaxstyle.networks.load import load_params
    from jaxstyle.pieces.analogies import analogy, analogy_transfer, grow_texture
    from jaxstyle.pieces.guides import Guide
    from jaxstyle.pieces.quilting import quilt_texture, quilt_transfer
    from jaxstyle.pieces.voting import patch_analogy, patch_texture, patch_transfer
    from jaxstyle.video.painting import stylize_video

# What touches the disk, or is for few, is imported when it is first used: modules cost time.
_LAZY = {
    "load_image": "jaxstyle.image.io",
    "save_image": "jaxstyle.image.io",
    "load_params": "jaxstyle.networks.load",
    "stylize_video": "jaxstyle.video.painting",
    "analogy": "jaxstyle.pieces.analogies",
    "analogy_transfer": "jaxstyle.pieces.analogies",
    "grow_texture": "jaxstyle.pieces.analogies",
    "Guide": "jaxstyle.pieces.guides",
    "quilt_texture": "jaxstyle.pieces.quilting",
    "quilt_transfer": "jaxstyle.pieces.quilting",
    "patch_analogy": "jaxstyle.pieces.voting",
    "patch_texture": "jaxstyle.pieces.voting",
    "patch_transfer": "jaxstyle.pieces.voting",
}

__all__ = [
    "Grid",
    "Guide",
    "Kept",
    "LossSpec",
    "LossWeights",
    "MemoryPlan",
    "Mixture",
    "ObjectiveValue",
    "OptimizeOptions",
    "OwnLoss",
    "Region",
    "Result",
    "StylizeOptions",
    "Targets",
    "VGGSpec",
    "analogy",
    "analogy_transfer",
    "animation",
    "blend_styles",
    "color",
    "compute_targets",
    "content_loss",
    "descend",
    "enlarge",
    "features",
    "gram_matrix",
    "grow_texture",
    "guided_targets",
    "init_params",
    "load_image",
    "load_params",
    "make_scales",
    "mix_styles",
    "normalize_params",
    "objective",
    "objective_and_gradient",
    "optimize",
    "pages",
    "patch_analogy",
    "patch_texture",
    "patch_transfer",
    "plan_memory",
    "presets",
    "quantize",
    "quilt_texture",
    "quilt_transfer",
    "reconstruct_content",
    "resize",
    "save_image",
    "shard_rows",
    "solvers",
    "statistics",
    "style_loss",
    "stylize",
    "stylize_coarse_to_fine",
    "stylize_grid",
    "stylize_video",
    "synthesize_texture",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
