"""The losses' laws, and their agreement with float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.numerics import close, numerical_gradient
from jax.test_util import check_grads

from jaxstyle.losses.functional import (
    content_loss,
    gram_matrix,
    isotropic_total_variation,
    l1_total_variation,
    power_total_variation,
    range_penalty,
    squared_total_variation,
    style_loss,
)

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(0.5, 0.6, (5, 4, 3))
MAPS = RNG.normal(0.3, 1.0, (7, 5, 6))
OTHER_MAPS = RNG.normal(0.0, 1.0, (7, 5, 6))


def numpy_gram(maps):
    h, w, c = maps.shape
    gram = np.zeros((c, c))
    for i in range(h):
        for j in range(w):
            gram += np.outer(maps[i, j], maps[i, j])
    return gram / (h * w)


def numpy_mean_squared_difference(a, b):
    return np.mean((a - b) ** 2)


def numpy_total_variation(image, penalty):
    total = 0.0
    for axis in (0, 1):
        differences = np.diff(image, axis=axis)
        total += penalty(differences).mean() if differences.size else 0.0
    return total


def numpy_range_penalty(image):
    distance = np.where(image < 0, -image, np.where(image > 1, image - 1, 0.0))
    return np.mean(distance**2)


IMAGE_LOSSES = {
    squared_total_variation: lambda image: numpy_total_variation(image, np.square),
    l1_total_variation: lambda image: numpy_total_variation(image, np.abs),
    range_penalty: numpy_range_penalty,
}
GRAM, OTHER_GRAM = numpy_gram(MAPS), numpy_gram(OTHER_MAPS)


def single(x):
    return jnp.asarray(np.float32(x))


def test_gram_matrix_equals_float64_loops():
    close(gram_matrix(single(MAPS)), GRAM, 1e-6)


def test_gram_matrix_is_symmetric():
    gram = np.asarray(gram_matrix(single(MAPS)))
    np.testing.assert_array_equal(gram, gram.T)


@pytest.mark.parametrize("shape", [(7, 5, 6), (2, 2, 9), (1, 1, 4)])
def test_gram_matrix_is_positive_semi_definite(shape):
    gram = gram_matrix(single(RNG.normal(size=shape)))
    eigenvalues = np.linalg.eigvalsh(np.asarray(gram, np.float64))
    assert eigenvalues.max() > 0
    assert eigenvalues.min() >= -1e-6 * eigenvalues.max()


def test_gram_matrix_is_blind_to_permuted_positions():
    positions = RNG.permutation(MAPS.reshape(35, 6))
    close(gram_matrix(single(positions.reshape(5, 7, 6))), GRAM, 1e-6)


def test_gram_matrix_permutes_with_the_channels():
    order = RNG.permutation(6)
    close(gram_matrix(single(MAPS[..., order])), GRAM[np.ix_(order, order)], 1e-6)


@pytest.mark.parametrize("mass", [None, jnp.full(MAPS.shape[:2], 1 / 35)])
def test_the_slope_of_a_gram_matrix_takes_one_product(mass):
    slope = jax.grad(lambda x: jnp.sum(jnp.square(gram_matrix(x, mass))))
    program = str(jax.make_jaxpr(slope)(single(MAPS)))
    assert program.count("dot_general[") == 2  # the matrix itself, and its slope


def test_the_slope_of_a_region_is_that_of_differences():
    maps = single(RNG.normal(size=(3, 4, 2)))
    mass = single(RNG.uniform(0.1, 1, size=(3, 4)))

    def value(maps, mass):
        return jnp.sum(jnp.sin(gram_matrix(maps, mass)))

    check_grads(value, (maps, mass), order=2, modes=("fwd", "rev"), rtol=2e-2, atol=2e-2)


def test_gram_matrix_grows_with_the_square_of_the_features():
    np.testing.assert_array_equal(gram_matrix(single(4 * MAPS)), 16 * gram_matrix(single(MAPS)))


def test_gram_matrix_does_not_grow_with_the_size():
    close(gram_matrix(single(np.tile(MAPS, (3, 2, 1)))), GRAM, 1e-6)


def test_gram_matrix_of_bfloat16_is_summed_in_float32():
    maps = jnp.asarray(RNG.uniform(0, 1, (64, 64, 3)), jnp.bfloat16)
    gram = gram_matrix(maps)
    assert gram.dtype == jnp.float32
    close(gram, numpy_gram(np.asarray(maps, np.float64)), 1e-5)


def test_gram_matrix_has_derivatives_of_every_mode_from_one_product_each():
    maps, slopes = single(MAPS), single(RNG.normal(0, 1, (6, 6)))  # slopes that are not symmetric
    check_grads(gram_matrix, (maps,), order=2, modes=["fwd", "rev"], atol=0.05, rtol=0.05)

    def weighed(maps):
        return jnp.sum(slopes * gram_matrix(maps))

    expected = np.einsum("hwc,cd->hwd", MAPS, np.float64(slopes + slopes.T)) / 35
    close(jax.grad(weighed)(maps), expected, 1e-5)
    assert str(jax.make_jaxpr(jax.grad(weighed))(maps)).count("dot_general[") == 2


@pytest.mark.parametrize("shape", [(4, 3), (2, 4, 4, 3)])
def test_gram_matrix_refuses_another_rank(shape):
    with pytest.raises(ValueError, match=r"features should have shape \[h, w, c\], got \["):
        gram_matrix(jnp.ones(shape))


@pytest.mark.parametrize(
    ("loss", "a", "b"), [(content_loss, MAPS, OTHER_MAPS), (style_loss, GRAM, OTHER_GRAM)]
)
class TestLossOfAPair:
    def test_equals_float64(self, loss, a, b):
        expected = numpy_mean_squared_difference(a, b)
        close(loss(single(a), single(b)), expected, 1e-6)

    def test_is_zero_at_its_target_with_zero_gradient(self, loss, a, b):
        value, gradient = jax.jit(jax.value_and_grad(loss))(single(a), single(a))
        assert value == 0
        assert not np.any(gradient)

    def test_is_symmetric(self, loss, a, b):
        assert loss(single(a), single(b)) == loss(single(b), single(a)) > 0

    @pytest.mark.parametrize("argument", [0, 1])
    def test_gradient_equals_finite_differences(self, loss, a, b, argument):
        pair = [np.float64(np.float32(x)) for x in (a, b)]

        def of_argument(x):
            return numpy_mean_squared_difference(*pair[:argument], x, *pair[argument + 1 :])

        gradient = jax.jit(jax.grad(loss, argument))(single(a), single(b))
        close(gradient, numerical_gradient(of_argument, pair[argument]), 1e-6)

    def test_is_float32_for_bfloat16(self, loss, a, b):
        low, target = jnp.asarray(a, jnp.bfloat16), jnp.asarray(b, jnp.bfloat16)
        value = loss(low, target)
        assert value.dtype == jnp.float32
        exact = numpy_mean_squared_difference(np.float64(low), np.float64(target))
        close(value, exact, 1e-6)

    def test_refuses_shapes_that_would_broadcast(self, loss, a, b):
        with pytest.raises(ValueError, match=r"shapes should be equal, got \[.*\] and \["):
            loss(single(a), single(b)[:1])


def test_style_loss_of_gram_matrices_has_the_gradient_of_finite_differences():
    maps = np.float64(np.float32(MAPS))

    def exact(maps):
        return numpy_mean_squared_difference(numpy_gram(maps), OTHER_GRAM)

    def loss(maps):
        return style_loss(gram_matrix(maps), single(OTHER_GRAM))

    close(jax.jit(jax.grad(loss))(single(maps)), numerical_gradient(exact, maps), 1e-5)


@pytest.mark.parametrize("loss", IMAGE_LOSSES)
class TestLossOfAnImage:
    @pytest.mark.parametrize("shape", [(5, 4, 3), (1, 6, 3), (6, 1, 3), (1, 1, 3)])
    def test_equals_float64(self, loss, shape):
        image = np.float64(np.float32(RNG.normal(0.5, 1.0, shape)))
        value = jax.jit(loss)(single(image))
        assert value.dtype == jnp.float32
        close(value, IMAGE_LOSSES[loss](image), 1e-6)

    def test_gradient_equals_finite_differences(self, loss):
        image = np.float64(np.float32(IMAGE))
        gradient = jax.jit(jax.grad(loss))(single(image))
        close(gradient, numerical_gradient(IMAGE_LOSSES[loss], image), 1e-6)

    def test_is_zero_with_zero_gradient_for_one_colour_in_range(self, loss):
        value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.full((4, 6, 3), 0.25))
        assert value == 0
        assert not np.any(gradient)

    @pytest.mark.parametrize("shape", [(1, 6, 3), (6, 1, 3), (1, 1, 3)])
    def test_gradient_is_finite_in_a_direction_of_one_pixel(self, loss, shape):
        gradient = jax.jit(jax.grad(loss))(
            single(np.linspace(-1, 2, np.prod(shape)).reshape(shape))
        )
        assert np.all(np.isfinite(gradient))

    def test_is_float32_for_bfloat16(self, loss):
        assert loss(jnp.asarray(IMAGE, jnp.bfloat16)).dtype == jnp.float32


def test_total_variation_counts_each_direction_by_its_own_mean():
    ramp = np.broadcast_to(np.float32([0, 1, 2])[:, None, None], (3, 7, 3))
    assert squared_total_variation(2 * ramp) == 4
    assert l1_total_variation(2 * ramp) == 2
    assert l1_total_variation(2 * ramp.transpose(1, 0, 2)) == 2


def test_range_penalty_is_zero_up_to_the_very_edges():
    assert range_penalty(jnp.array([[[0.0, 1.0, 0.5]]])) == 0
    assert range_penalty(jnp.array([[[0.0, 1.0, 1.5]]])) == pytest.approx(0.25 / 3, rel=1e-6)
    assert range_penalty(jnp.array([[[-0.5, 1.0, 0.5]]])) == pytest.approx(0.25 / 3, rel=1e-6)


def test_joint_total_variations_equal_numpy():
    image = RNG.normal(size=(6, 7, 3))
    corner = image[:-1, :-1]
    squares = (image[1:, :-1] - corner) ** 2 + (image[:-1, 1:] - corner) ** 2
    step = 1 / 255
    expected = (np.sqrt(squares + step**2) - step).mean()
    close(isotropic_total_variation(single(image)), expected, 1e-5)
    close(power_total_variation(single(image)), (squares**1.25).mean(), 1e-5)


@pytest.mark.parametrize("loss", [isotropic_total_variation, power_total_variation])
def test_joint_total_variations_leave_flat_images_alone(loss):
    assert not np.asarray(jax.grad(loss)(jnp.full((4, 5, 3), 0.3))).any()
    assert float(loss(jnp.ones((1, 5, 3)))) == 0
