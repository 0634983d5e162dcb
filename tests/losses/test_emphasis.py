"""What is kept, protected or calm: where styles look, and where the photograph counts more."""

from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import LossSpec, Region, compute_targets, guided_targets, objective
from jaxstyle.losses.calm import activity, flatness, part_painting, part_picture, simplicity
from jaxstyle.losses.emphasis import Emphasis
from jaxstyle.losses.functional import content_loss
from jaxstyle.losses.statistics import StatisticName

pytestmark = pytest.mark.usefixtures("compile_faster")

# A network that sees each pixel alone, so that what a statistic reads can be told exactly.
KERNEL = jnp.zeros((3, 3, 3, 3)).at[1, 1].set(jnp.eye(3))
COLORS = {"mean": jnp.zeros(3), "conv1_1": {"kernel": KERNEL, "bias": jnp.zeros(3)}}
SPEC = LossSpec(("relu1_1",), ("relu1_1",))
CONTENT, STYLE, IMAGE = jax.random.uniform(jax.random.key(0), (3, 8, 10, 3))
LEFT = jnp.zeros((8, 10)).at[:, :5].set(1.0)
WHOLE = [Region(jnp.ones((8, 10)), STYLE)]


def style_term(image, targets, spec):
    return objective(image, COLORS, targets, spec=spec).terms["style/relu1_1"]


@pytest.mark.parametrize(
    "statistic",
    ["gram", "sliced"]
    + [pytest.param(name, marks=pytest.mark.slow) for name in get_args(StatisticName)[1:-1]],
)
def test_statistics_see_only_what_is_free(statistic):
    spec = LossSpec(SPEC.content_layers, SPEC.style_layers, statistic=statistic)
    targets = guided_targets(COLORS, CONTENT, WHOLE, spec, keep=LEFT)
    term = style_term(IMAGE, targets, spec)
    # Another photograph under the same mask changes nothing.
    other = targets._replace(kept=targets.kept._replace(image=1 - CONTENT))
    np.testing.assert_allclose(style_term(IMAGE, other, spec), term, rtol=1e-5)
    # The free part by itself, by its share of the picture.
    alone = compute_targets(COLORS, CONTENT[:, 5:], STYLE, spec)
    expected = 0.5 * style_term(IMAGE[:, 5:], alone, spec)
    np.testing.assert_allclose(term, expected, rtol=2e-2 if statistic == "histogram" else 1e-3)


def test_soft_masks_weigh_by_what_is_free():
    keep = jnp.broadcast_to(jnp.linspace(0, 1, 10), (8, 10))
    targets = guided_targets(COLORS, CONTENT, WHOLE, SPEC, keep=keep)
    free = (1 - keep) ** 2
    np.testing.assert_allclose(targets.mixture.masses["relu1_1"][0], free / free.sum(), rtol=1e-5)
    np.testing.assert_allclose(targets.mixture.weights["relu1_1"], [0.5], rtol=1e-5)


@pytest.mark.parametrize(
    "statistic",
    ["gram", *(pytest.param(x, marks=pytest.mark.slow) for x in ("wasserstein", "sliced"))],
)
def test_a_region_that_is_kept_counts_for_nothing(statistic):
    spec = LossSpec((), ("relu1_1",), statistic=statistic)
    regions = [Region(LEFT, STYLE), Region(1 - LEFT, 1 - STYLE)]
    targets = guided_targets(COLORS, CONTENT, regions, spec, keep=LEFT)
    assert targets.mixture.weights["relu1_1"].tolist() == [0.0, 0.5]
    gradient = jax.grad(lambda image: style_term(image, targets, spec))(IMAGE)
    assert jnp.isfinite(gradient).all()
    assert not gradient[:, :5].any()


def test_nothing_left_to_paint_and_wrong_masks_are_refused():
    with pytest.raises(ValueError, match="keep is 1 everywhere, so nothing is left to paint"):
        guided_targets(COLORS, CONTENT, WHOLE, SPEC, keep=jnp.ones((8, 10)))
    with pytest.raises(ValueError, match=r"protect should have shape \[8, 10\]"):
        guided_targets(COLORS, CONTENT, WHOLE, SPEC, protect=jnp.ones((4, 4)))
    with pytest.raises(ValueError, match=r"keep should be in \[0, 1\], got values from 0 to 255"):
        guided_targets(COLORS, CONTENT, WHOLE, SPEC, keep=255 * LEFT)
    with pytest.raises(ValueError, match="calm should be at most 1, got 2"):
        guided_targets(COLORS, CONTENT, WHOLE, SPEC, calm=2)
    with pytest.raises(ValueError, match="keep needs a content image"):
        guided_targets(COLORS, None, WHOLE, LossSpec((), ("relu1_1",)), keep=LEFT)


def test_protection_is_gentler_style_and_more_content():
    targets = guided_targets(COLORS, CONTENT, WHOLE, SPEC, protect=LEFT)
    mass, weight = targets.mixture.masses["relu1_1"][0], targets.content_weights["relu1_1"]
    np.testing.assert_allclose(mass[0, 0] / mass[0, 9], 0.75**2, rtol=1e-5)
    assert (float(weight[0, 0]), float(weight[0, 9])) == (3.0, 1.0)
    term = objective(IMAGE, COLORS, targets, spec=SPEC).terms["content/relu1_1"]
    squares = np.mean((IMAGE - CONTENT) ** 2, axis=2)
    expected = 10 * (3 * squares[:, :5].sum() + squares[:, 5:].sum()) / 80
    np.testing.assert_allclose(term, expected, rtol=1e-5)


def test_protection_adds_finer_layers_where_it_is_and_nowhere_else():
    maps = {"relu1_1": jnp.zeros((8, 10, 3)), "relu2_1": jnp.zeros((4, 5, 4))}
    widths = {name: {"kernel": jnp.zeros((3, 3, 3, 4))} for name in ("conv1_1", "conv2_1")}
    emphasis = Emphasis(protect=LEFT)
    assert emphasis.spec(SPEC, widths).content_layers == ("relu1_1", "relu2_1")
    targets = compute_targets(COLORS, CONTENT, STYLE, SPEC)._replace(content=maps)
    placed = emphasis.place(targets, widths, CONTENT, SPEC)
    assert placed.content_weights["relu2_1"][0].tolist() == [0.5, 0.5, 0.25, 0.0, 0.0]


def test_content_loss_with_weights_is_the_weighed_mean():
    weight = jnp.arange(80.0).reshape(8, 10)
    expected = np.mean(np.asarray(weight) * np.mean((IMAGE - CONTENT) ** 2, axis=2))
    np.testing.assert_allclose(content_loss(IMAGE, CONTENT, weight), expected, rtol=1e-5)


def test_activity_is_the_local_standard_deviation():
    image = jnp.zeros((8, 40, 3)).at[:, 1::2].set(1.0)  # stripes, as even as they can be
    np.testing.assert_allclose(activity(image)[4, 10:30], 0.5, atol=0.01)
    np.testing.assert_allclose(activity(jnp.full((8, 40, 3), 0.7)), 0, atol=1e-4)


def test_flat_areas_are_told_from_busy_ones():
    half = (
        jnp.full((24, 60, 3), 0.4)
        .at[:, 30:]
        .set(jax.random.uniform(jax.random.key(1), (24, 30, 3)))
    )
    flat, simple = flatness(half), simplicity(half)
    assert float(flat[:, :24].min()) > 0.99
    assert float(flat[:, 36:].max()) < 0.01
    assert float(simple[:, :24].min()) > float(simple[:, 36:].max())
    busy, calm = part_picture(half, 0.5)
    np.testing.assert_allclose(busy + calm, 1, rtol=1e-6)
    np.testing.assert_allclose(calm, 0.5 * flat, rtol=1e-6)
    np.testing.assert_allclose(part_painting(half, 0.0)[0], 1)


@pytest.mark.slow
def test_calm_zero_is_the_plain_objective_and_may_be_traced():
    plain = compute_targets(COLORS, CONTENT, STYLE, SPEC)

    def total(calm):
        targets = guided_targets(COLORS, CONTENT, WHOLE, SPEC, calm=calm)
        return objective(IMAGE, COLORS, targets, spec=SPEC).total

    calms = jnp.array([0.0, 1.0])
    found = jax.vmap(total)(calms)
    expected = objective(IMAGE, COLORS, plain, spec=SPEC).total
    np.testing.assert_allclose(found[0], expected, rtol=1e-4)
    np.testing.assert_allclose(found[1], total(1.0), rtol=1e-4)
