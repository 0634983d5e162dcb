"""JAX's strictest rules: nothing is transferred that nobody asked for, and all is float32."""

import jax
import jax.numpy as jnp
import pytest

import jaxstyle

pytestmark = pytest.mark.usefixtures("compile_faster")
WAYS = {
    "quilt": lambda a, b: jaxstyle.quilt_texture(a, (13, 15), block=6).image,
    "mosaic": lambda a, b: jaxstyle.quilt_transfer(b, a, block=6, passes=2).image,
    "analogy": lambda a, b: jaxstyle.analogy(a, a, b, colors="photo", levels=2).image,
    "growth": lambda a, b: jaxstyle.grow_texture(a, (9, 9)).image,
    "texture": lambda a, b: jaxstyle.patch_texture(a, (13, 15), patch=3),
    "guides": lambda a, b: jaxstyle.patch_analogy(a, [jaxstyle.Guide(a, b)], patch=3),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_transferred_and_all_is_finite(way):
    pictures = jax.random.uniform(jax.random.key(0), (2, 16, 18, 3))
    a, b = pictures
    with jax.transfer_guard("disallow"):
        made = WAYS[way](a, b)
    assert made.dtype == jnp.float32
    assert bool(jnp.isfinite(made).all())
