"""Measures where compiling goes, and what a hurried compiler costs.

    python -m scripts.benchmarks.compiling [--network FILE] [--size 512]

An optimisation of one picture needs three programs of weight: the content's features, the measure
of the style, and the step. The table has each one's share of the compiler's time, how much of that
time is left when the compiler hurries, and how many times as long the program then takes. Times are
those of the processor over all threads, so other work hardly disturbs them.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxstyle._common.kept import HURRY
from jaxstyle.losses import targets
from jaxstyle.losses.features import prepare_params
from jaxstyle.losses.spec import LossWeights
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.presets import get_preset
from jaxstyle.optimization.step import Problem, advance, start_forms
from scripts.command_line import make_parser


def lower_programs(network: Any, shape: tuple[int, int]) -> dict[str, tuple[Any, Any]]:
    """Returns the programs of an optimisation, lowered, each with arguments to run it with."""
    preset = get_preset("compact" if network.metadata["network"] == "compact" else "default")
    spec, solver = preset.spec, preset.solver()
    image = jax.random.uniform(jax.random.key(0), (*shape, 3))
    known = targets.compute_targets(network.params, image, image, spec)
    params = prepare_params(network.params, shape, spec)
    arrays = (params, known, LossWeights().resolve(spec))
    forms = start_forms(image, params, known, spec=spec, solver=solver)
    state, info = jax.tree.map(lambda form: jnp.zeros(form.shape, form.dtype), forms)
    problem = Problem(spec, solver, lanes=False, sharding=None)
    programs = {
        "features": (targets.features_of_content, (network.params, image), {"spec": spec}),
        "style": (targets.statistics_of_style, (network.params, image, None, None), {"spec": spec}),
        "step": (advance, (state, info, arrays), {"problem": problem, "length": 1}),
    }
    return {
        name: (function.lower(*given, **static), given)
        for name, (function, given, static) in programs.items()
    }


def seconds_of(run: Callable[[], Any]) -> tuple[float, Any]:
    """Returns how long a call keeps the processor busy, and its result."""
    begin = time.process_time()
    result = jax.block_until_ready(run())
    return time.process_time() - begin, result


def measure(
    programs: dict[str, tuple[Any, Any]], rounds: int
) -> dict[str, tuple[list[float], list[float]]]:
    """Returns the seconds to compile and to run each program: at leisure, and in a hurry."""
    found = {}
    jax.config.update("jax_enable_compilation_cache", False)  # type: ignore[no-untyped-call]
    # The first compilation of a process also makes the compiler ready.
    jax.jit(lambda: 0).lower().compile()
    for name, (lowered, given) in programs.items():
        kinds: list[dict[str, Any]] = [{"xla_backend_optimization_level": 3}, dict(HURRY)]
        compiled: list[Any] = [None, None]
        compiling: list[list[float]] = [[], []]
        running: list[list[float]] = [[], []]
        for _ in range(rounds):
            for i, options in enumerate(kinds):
                jax.clear_caches()  # type: ignore[no-untyped-call]
                seconds, compiled[i] = seconds_of(
                    lambda lowered=lowered, options=options: lowered.compile(options)
                )
                compiling[i].append(seconds)
        for _ in range(5 * rounds):
            for i, program in enumerate(compiled):
                # A step writes into what it is given.
                copies = jax.block_until_ready(jax.tree.map(jnp.copy, given))
                running[i].append(
                    seconds_of(lambda program=program, copies=copies: program(*copies))[0]
                )
        found[name] = (
            [statistics.median(each) for each in compiling],
            [statistics.median(each) for each in running],
        )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.benchmarks.compiling", __doc__)
    parser.add_argument("--network", default="compact", help="a network's name or file")
    parser.add_argument("--size", type=int, default=512, help="longer side in pixels")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is compiled")
    options = parser.parse_args(arguments)
    network = load_network(options.network)
    programs = lower_programs(network, (3 * options.size // 4, options.size))
    found = measure(programs, options.rounds)
    total = sum(compiling[0] for compiling, _ in found.values())
    print("| program | share of compiling | compiled in a hurry | run after that |")
    print("| --- | --- | --- | --- |")
    for name, ((leisure, hurried), (usual, slower)) in found.items():
        share, left, ratio = leisure / total, hurried / leisure, slower / usual
        print(f"| {name} | {100 * share:.0f} % | {left:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
