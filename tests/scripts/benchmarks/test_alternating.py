"""How the scripts' measurements take turns."""

import jax.numpy as jnp

from scripts.benchmarks import alternating


def test_every_round_draws_its_order_and_second_calls_count(monkeypatch):
    calls = []
    runs = {name: lambda name=name: calls.append(name) for name in "abc"}
    clock = iter(range(1000))
    monkeypatch.setattr(alternating.time, "perf_counter", lambda: float(next(clock)))

    seconds = alternating.alternate(runs, rounds=8)

    assert seconds == {name: [1.0] * 8 for name in "abc"}
    rounds = ["".join(calls[i : i + 6]) for i in range(0, len(calls), 6)]
    assert len(rounds) == 8
    turns = [each[::2] for each in rounds]
    assert all(each[1::2] == turn for each, turn in zip(rounds, turns, strict=True))
    assert all(sorted(turn) == list("abc") for turn in turns)
    assert len(set(turns)) > 1


def test_seconds_of_a_call(monkeypatch):
    clock = iter([2.0, 5.5])
    monkeypatch.setattr(alternating.time, "perf_counter", lambda: next(clock))
    assert alternating.seconds_of(lambda: None) == 3.5


def test_a_run_of_a_jax_function():
    assert alternating.waiting_for(jnp.add, 1, 2)() == 3
