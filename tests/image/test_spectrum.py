"""Cosine transforms: SciPy's, in any size, with their own derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

from jaxstyle.image.spectrum import cosine_power_law, scale_cosines

RNG = np.random.default_rng(0)


def expected(image, scale):
    spectrum = scipy.fft.dctn(image, axes=(0, 1), norm="ortho") * scale[..., None]
    return scipy.fft.idctn(spectrum, axes=(0, 1), norm="ortho")


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1), (2, 3), (6, 7), (9, 8), (64, 30)])
def test_each_cosine_is_multiplied(shape):
    image, scale = RNG.normal(size=(*shape, 3)), RNG.uniform(size=shape)
    found = scale_cosines(jnp.float32(image), jnp.float32(scale))
    np.testing.assert_allclose(found, expected(image, scale), atol=2e-6)


def test_there_is_one_transform_of_the_picture_each_way():
    program = jax.jit(scale_cosines).lower(jnp.zeros((6, 7, 3)), jnp.ones((6, 7)))
    assert program.as_text().count("stablehlo.fft") == 2


def test_the_derivative_is_the_transposed_matrix_also_under_vmap():
    scale = jnp.float32(RNG.uniform(size=(6, 7)))
    images, others = jnp.float32(RNG.normal(size=(2, 2, 6, 7, 3)))
    pulled = jax.vmap(jax.grad(lambda image, other: jnp.vdot(scale_cosines(image, scale), other)))
    wanted = [expected(np.float64(other), np.float64(scale)) for other in others]
    np.testing.assert_allclose(pulled(images, others), wanted, atol=2e-6)


def test_the_power_law_keeps_the_variance_of_white_noise():
    scale = np.asarray(cosine_power_law((6, 9), 0.5))
    assert np.mean(scale**2) == pytest.approx(1, rel=1e-6)
    assert scale[0, 2] / scale[0, 4] == pytest.approx(2**0.5, rel=1e-6)
