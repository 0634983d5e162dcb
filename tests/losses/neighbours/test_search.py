"""The search for nearest neighbours: against brute force, in memory, and its slopes."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.losses.neighbours import (
    candidates,
    distance,
    nearest,
    nearest_by_use,
    nearest_of_both,
)

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(23, 6)).astype(np.float32)
KEYS = RNG.normal(size=(31, 6)).astype(np.float32)
ROWS_J, KEYS_J = jnp.asarray(ROWS), jnp.asarray(KEYS)
BIAS = RNG.uniform(0, 3, 31).astype(np.float32)
SCALE = RNG.uniform(0.3, 3, 31).astype(np.float32)
TILES = (1, 7, 1024)
METRICS = ("euclidean", "cosine")


def all_distances(rows, keys, metric):
    rows, keys = np.asarray(rows, np.float64), np.asarray(keys, np.float64)
    if metric == "euclidean":
        return ((rows[:, None] - keys[None]) ** 2).sum(-1)
    length = np.linalg.norm(rows, axis=1)[:, None] * np.linalg.norm(keys, axis=1)
    return 1 - rows @ keys.T / length


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("tile", TILES)
def test_equals_brute_force_for_any_tile(metric, tile):
    expected = all_distances(ROWS, KEYS, metric)
    found, back = nearest_of_both(ROWS_J, KEYS_J, metric, tile=tile)
    np.testing.assert_array_equal(found.index, expected.argmin(1))
    np.testing.assert_array_equal(back.index, expected.argmin(0))
    np.testing.assert_allclose(found.distance, expected.min(1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(back.distance, expected.min(0), rtol=1e-5, atol=1e-6)
    alone = nearest(ROWS_J, KEYS_J, metric, tile=tile)
    np.testing.assert_array_equal(alone.index, found.index)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("tile", TILES)
def test_bias_and_scale_equal_brute_force(metric, tile):
    costs = SCALE * all_distances(ROWS, KEYS, metric) + BIAS
    options = {"bias": jnp.asarray(BIAS), "scale": jnp.asarray(SCALE), "tile": tile}
    found, back = nearest_of_both(ROWS_J, KEYS_J, metric, **options)
    np.testing.assert_array_equal(found.index, costs.argmin(1))
    np.testing.assert_array_equal(back.index, all_distances(ROWS, KEYS, metric).argmin(0))
    several = candidates(ROWS_J, KEYS_J, 5, metric, **options)
    np.testing.assert_array_equal(several.index, costs.argsort(1)[:, :5])
    expected = np.take_along_axis(all_distances(ROWS, KEYS, metric), np.asarray(several.index), 1)
    np.testing.assert_allclose(several.distance, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_a_picture_against_itself_is_the_identity(metric):
    for matches in nearest_of_both(KEYS_J, KEYS_J, metric, tile=8):
        np.testing.assert_array_equal(matches.index, np.arange(31))
        np.testing.assert_allclose(matches.distance, 0, atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_a_permutation_is_recovered(metric):
    order = RNG.permutation(31)
    found, back = nearest_of_both(KEYS_J[order], KEYS_J, metric, tile=8)
    np.testing.assert_array_equal(found.index, order)
    np.testing.assert_array_equal(back.index, np.argsort(order))


@pytest.mark.parametrize("tile", TILES)
def test_ties_go_to_the_lowest_place(tile):
    keys = jnp.asarray(np.repeat([[0.0, 1.0], [1.0, 0.0]], 9, axis=0))
    rows = jnp.array([[0.0, 2.0], [2.0, 0.0], [1.0, 1.0]])
    for metric in METRICS:
        assert nearest(rows, keys, metric, tile=tile).index.tolist() == [0, 9, 0]
        back = nearest_of_both(keys, rows[:2], metric, tile=tile)[1]
        assert back.index.tolist() == [0, 9]
    assert candidates(rows[:1], keys, 4, tile=tile).index.tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("metric", METRICS)
def test_a_region_never_matches_outside_its_mask(metric):
    labels = RNG.integers(0, 3, 23), RNG.integers(0, 3, 31)
    regions = tuple(map(jnp.asarray, labels))
    found, back = nearest_of_both(ROWS_J, KEYS_J, metric, regions=regions, tile=8)
    costs = np.where(labels[0][:, None] == labels[1], all_distances(ROWS, KEYS, metric), np.inf)
    np.testing.assert_array_equal(found.index, costs.argmin(1))
    np.testing.assert_array_equal(back.index, costs.argmin(0))


def test_a_region_without_keys_is_infinitely_far():
    regions = jnp.array([0, 5]), jnp.array([0, 0, 0])
    found = nearest(ROWS_J[:2], KEYS_J[:3], regions=regions)
    assert np.isfinite(found.distance[0])
    assert np.isinf(found.distance[1])
    assert found.index[1] == 0


@pytest.mark.parametrize("metric", METRICS)
def test_vmap_equals_a_loop(metric):
    rows, keys = RNG.normal(size=(3, 9, 4)), RNG.normal(size=(3, 10, 4))
    rows, keys = jnp.asarray(rows, jnp.float32), jnp.asarray(keys, jnp.float32)
    mapped = jax.vmap(lambda r, k: nearest_of_both(r, k, metric, tile=4))(rows, keys)
    for i in range(3):
        one = nearest_of_both(rows[i], keys[i], metric, tile=4)
        jax.tree.map(
            lambda many, one, i=i: np.testing.assert_allclose(many[i], one, atol=1e-6), mapped, one
        )


@pytest.mark.parametrize("metric", METRICS)
def test_slopes_equal_finite_differences_away_from_ties(metric):
    def loss(rows):
        return jnp.mean(distance(rows, KEYS_J, nearest(rows, KEYS_J, metric, tile=8).index, metric))

    direction = jnp.asarray(RNG.normal(size=ROWS.shape), jnp.float32)
    slope = float(jnp.vdot(jax.grad(loss)(ROWS_J), direction))
    step = 1e-3
    high, low = (
        all_distances(ROWS + sign * step * np.asarray(direction), KEYS, metric).min(1).mean()
        for sign in (1, -1)
    )
    assert slope == pytest.approx((high - low) / (2 * step), rel=1e-3)


def test_distances_of_several_keys_equal_those_of_each():
    index = jnp.asarray(RNG.integers(0, 31, (23, 3)))
    for metric in METRICS:
        several = distance(ROWS_J, KEYS_J, index, metric)
        for k in range(3):
            one = distance(ROWS_J, KEYS_J, index[:, k], metric)
            np.testing.assert_allclose(several[:, k], one, atol=1e-6)


def test_rows_of_no_length_have_no_direction():
    found = nearest(jnp.zeros((2, 3)), jnp.ones((4, 3)), "cosine")
    assert found.distance.tolist() == [1.0, 1.0]
    slope = jax.grad(lambda rows: distance(rows, jnp.ones((1, 3)), jnp.array([0]), "cosine")[0])
    assert np.isfinite(slope(jnp.zeros((1, 3)))).all()


@pytest.mark.parametrize("metric", METRICS)
def test_no_array_of_all_rows_by_all_keys_is_ever_made(metric):
    n, m = 3000, 4001

    def loss(rows, keys):
        of_rows, of_keys = nearest_of_both(rows, keys, metric, tile=128)
        there = distance(rows, keys, of_rows.index, metric)
        back = distance(keys, rows, of_keys.index, metric)
        return jnp.mean(there) + jnp.mean(back)

    rows, keys = (
        jax.ShapeDtypeStruct((n, 8), jnp.float32),
        jax.ShapeDtypeStruct((m, 8), jnp.float32),
    )
    compiled = jax.jit(jax.value_and_grad(loss)).lower(rows, keys).compile()
    sizes = [
        np.prod([int(side) for side in shape.split(",")])
        for shape in re.findall(r"\[([\d,]+)\]", compiled.as_text())
    ]
    assert max(sizes) < n * m / 50
    assert compiled.memory_analysis().temp_size_in_bytes < n * m * 4 / 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keys": jnp.zeros((4, 5))}, r"rows and keys should be \[n, d\] and \[m, d\]"),
        ({"keys": jnp.zeros((0, 6))}, "at least one row and one key"),
        ({"metric": "manhattan"}, "unknown metric 'manhattan'; valid: cosine, euclidean"),
        ({"bias": jnp.zeros(3)}, r"bias should have shape \[31\], got \[3\]"),
        (
            {"regions": (jnp.zeros(23), jnp.zeros(3))},
            r"the labels of keys should have shape \[31\]",
        ),
        ({"tile": 0}, "tile should be at least 1, got 0"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        nearest(**{"rows": ROWS_J, "keys": KEYS_J, **change})


def test_more_candidates_than_keys_are_refused():
    with pytest.raises(ValueError, match="count should be at most the 31 keys, got 32"):
        candidates(ROWS_J, KEYS_J, 32)


@pytest.mark.parametrize("metric", METRICS)
def test_a_penalty_for_use_equals_numpy_and_spares_the_key_used_most(metric):
    apart = all_distances(ROWS, KEYS, metric)
    counts = np.bincount(apart.argmin(1), minlength=31)
    penalty = {"cosine": 0.1, "euclidean": 0.5}[metric]
    expected = (apart + penalty * counts * 31 / 23).argmin(1)
    found = nearest_by_use(ROWS_J, KEYS_J, metric, penalty=penalty).index
    np.testing.assert_array_equal(found, expected)
    assert np.bincount(expected, minlength=31)[counts.argmax()] < counts.max()


def test_a_row_of_no_length_has_no_slope():
    """Its distance is one whatever it turns to, so a slope would be of no direction."""
    rows = ROWS_J.at[0].set(0.0)
    found = nearest(rows, KEYS_J, "cosine")
    slopes = jax.grad(lambda rows: jnp.sum(distance(rows, KEYS_J, found.index, "cosine")))(rows)
    np.testing.assert_array_equal(slopes[0], 0)
    assert np.all(np.abs(slopes[1:]).max(1) > 0)


def test_what_is_no_number_is_not_taken_for_nothing():
    assert np.all(np.isnan(distance(ROWS_J * jnp.nan, KEYS_J, jnp.zeros(23, int), "cosine")))


@pytest.mark.parametrize("broken", [np.nan, np.inf])
@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("metric", METRICS)
def test_what_is_no_number_is_never_found_and_hides_nothing(metric, tile, broken):
    rows, keys = ROWS_J.at[4, 1].set(broken), KEYS_J.at[jnp.array([3, 30]), 2].set(broken)
    found, back = nearest_of_both(rows, keys, metric, tile=tile)
    apart = all_distances(ROWS, KEYS, metric)
    apart[:, [3, 30]] = apart[4] = np.inf
    others = np.delete(np.arange(23), 4)
    np.testing.assert_array_equal(found.index[others], apart.argmin(1)[others])
    assert not np.isfinite(found.distance[4])
    kept = np.delete(np.arange(31), [3, 30])
    np.testing.assert_array_equal(back.index[kept], apart.argmin(0)[kept])
    several = candidates(rows, keys, 3, metric, bias=jnp.asarray(BIAS), tile=tile).index
    assert not np.isin(several[others], [3, 30]).any()


def test_lists_are_taken():
    rows, keys = [[0.9, 0.1], [0.1, 1.8]], [[0, 0], [1, 0], [0, 2]]
    found = nearest(rows, keys, bias=[0.0, 0.0, 9.0], regions=([0, 0], [0, 0, 0]))
    assert found.index.tolist() == [1, 0]
    assert candidates(rows, keys, 2).index.tolist() == [[1, 0], [2, 0]]
    np.testing.assert_allclose(distance(rows, keys, [1, 2]), [0.02, 0.05], atol=1e-6)
