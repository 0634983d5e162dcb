"""Programs that are kept on disk, and loaded without being traced."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest

from jaxstyle._common import kept

traced = []


class Pair(NamedTuple):
    double: jax.Array
    rest: dict


@dataclasses.dataclass(frozen=True)
class Spec:
    factor: float


def double(x, tree, *, spec):
    traced.append(spec)
    return Pair(spec.factor * x, {"sum": sum(tree.values())})


def turn(x):
    traced.append("turn")
    return jnp.linalg.qr(x)[0]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    traced.clear()
    monkeypatch.setattr(kept, "_folder", tmp_path)
    return tmp_path


def run(x=3.0, factor=2.0, function=double):
    """As in a process of its own, where JAX has not traced the function yet."""
    another = functools.wraps(function)(lambda *args, **kwargs: function(*args, **kwargs))
    anew = kept.kept(another, static_argnames="spec")
    return anew(jnp.full(2, x), {"a": jnp.float32(1), "b": jnp.float32(2)}, spec=Spec(factor))


def entries(folder):
    return list(folder.glob("*-cache"))


def test_a_kept_program_is_not_traced(folder):
    first, second = run(), run()
    assert traced == [Spec(2.0)]
    assert jax.tree.structure(first) == jax.tree.structure(second)
    assert second.double.tolist() == first.double.tolist() == [6.0, 6.0]
    assert len(entries(folder)) == 1


def test_what_decides_a_program_has_one_of_its_own(folder):
    assert [float(run(factor=factor).double[0]) for factor in (2.0, 3.0, 2.0)] == [6.0, 9.0, 6.0]
    anew = functools.partial(kept.kept(double, static_argnames="spec"), spec=Spec(2.0))
    assert anew(jnp.ones(3), {"a": jnp.float32(1)}).double.shape == (3,)
    assert len(traced) == len(entries(folder)) == 3


@pytest.mark.parametrize("damage", [b"", b"another file", None])
def test_a_damaged_program_is_made_again(folder, damage):
    run()
    (entry,) = entries(folder)
    data = entry.read_bytes()
    entry.write_bytes(data[: len(data) // 2] if damage is None else damage)
    assert run().double.tolist() == [6.0, 6.0]
    assert len(traced) == 2
    run()
    assert len(traced) == 2


def test_other_sources_make_other_programs(folder, monkeypatch):
    run()
    monkeypatch.setattr(kept, "_surroundings", lambda: ("another version",))
    run()
    assert len(traced) == len(entries(folder)) == 2


def test_a_function_of_no_module_keeps_nothing(folder):
    anew = kept.kept(lambda x, f: f(x), static_argnames="f")
    assert anew(jnp.ones(2), f=lambda x: x + 1).tolist() == [2.0, 2.0]
    assert entries(folder) == []


def test_a_program_that_calls_a_library_is_left_to_jax(folder):
    turned = kept.kept(turn)(jnp.eye(2))
    assert abs(turned).tolist() == [[1, 0], [0, 1]]
    assert entries(folder) == []


def test_inside_a_transformation_it_is_a_part_of_the_callers_program(folder):
    anew = kept.kept(double, static_argnames="spec")
    assert jax.grad(lambda x: anew(x, {}, spec=Spec(2.0)).double)(1.0) == 2.0
    assert entries(folder) == []


def test_jax_keeps_its_own_programs_as_before(folder):
    before = jax.config.values["jax_enable_compilation_cache"]
    run()
    assert jax.config.values["jax_enable_compilation_cache"] == before


def test_a_hurried_program_computes_the_same_with_and_without_a_folder(folder, monkeypatch):
    compiled = []
    monkeypatch.setattr(kept, "_can_hurry", lambda: compiled.append(True) or True)
    hurried = kept.kept(double, static_argnames="spec", hurry=kept.always)
    given = jnp.linspace(0, 1, 7), {"a": jnp.float32(1)}
    found = [hurried(*given, spec=Spec(3.0))]
    monkeypatch.setattr(kept, "_folder", None)
    found.append(hurried(*given, spec=Spec(3.0)))
    assert found[0].double.tolist() == found[1].double.tolist() == (3 * given[0]).tolist()
    assert len(compiled) == 2


def test_a_hurried_function_is_a_part_of_programs_around_it(monkeypatch):
    monkeypatch.setattr(kept, "_can_hurry", lambda: True)
    hurried = kept.kept(double, static_argnames="spec", hurry=kept.always)
    known = jnp.ones(2)
    program = jax.jit(lambda x: x + hurried(known, {}, spec=Spec(2.0)).double)
    assert program(jnp.zeros(2)).tolist() == [2.0, 2.0]


def test_where_the_compiler_cannot_hurry_it_takes_its_time(monkeypatch):
    monkeypatch.setattr(kept, "HURRY", {"xla_cpu_no_such_option": True})
    kept._can_hurry.cache_clear()
    assert kept._can_hurry() is False
    monkeypatch.undo()
    kept._can_hurry.cache_clear()
    assert kept._can_hurry() is (jax.default_backend() == "cpu")


@pytest.mark.parametrize(("side", "hurries"), [(512, True), (1024, False)])
def test_only_runs_that_are_short_hurry(side, hurries):
    assert kept.once(1)(({}, jnp.zeros((side, side, 3), jnp.int8)), {}) is hurries
