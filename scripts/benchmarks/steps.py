"""Measures what a step of L-BFGS costs beside its evaluation, and other recipes beside the default.

    python -m scripts.benchmarks.steps [--network FILE] [--size 512] [--history 30 100] \
        [--presets strotss ...]

The programs take turns on pictures of noise, with as many pairs (s, y) in memory as they keep. Each
line has two ratios of medians: a step over an evaluation of its loss and gradient, and a step over
that of the first line. The last column is the step's peak memory over that of the first line, as
the compiler plans it.
"""

import functools
import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxstyle
from jaxstyle import solvers
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.losses.features import prepare_params, settle
from jaxstyle.losses.spec import LossSpec, LossWeights
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.compact import is_compact
from jaxstyle.optimization.memory import peak_memory
from jaxstyle.optimization.presets import get_preset
from jaxstyle.optimization.step import Problem, compile_step, start
from scripts.benchmarks.alternating import alternate, waiting_for
from scripts.command_line import make_parser


class Measured(NamedTuple):
    """A step and its evaluation.

    Attributes:
      step: takes the next step of a descent.
      evaluate: computes loss and gradient of the photograph.
      memory: the step's peak memory in bytes.
    """

    step: Callable[[], Any]
    evaluate: Callable[[], Any]
    memory: int


def prepare(params: Any, size: int, spec: LossSpec, history: int) -> Measured:
    """Compiles both programs, and takes steps until L-BFGS has all its pairs."""
    rng = np.random.default_rng(0)
    content, style = np.float32(rng.uniform(size=(2, 3 * size // 4, size, 3)))
    image, solver = jax.numpy.asarray(content), solvers.lbfgs(history)
    targets = jaxstyle.compute_targets(params, image, style, spec)
    shape = image.shape[:2]
    program = compile_step(params, shape, spec=spec, solver=solver, targets=targets)
    settled = settle(spec, image)
    prepared = prepare_params(params, shape, settled)
    arrays = (prepared, targets, LossWeights().resolve(spec))
    problem = Problem(spec, solver, lanes=False, sharding=None)
    state, info = start(image, arrays, None, problem, by_step=False)

    def step() -> Any:
        nonlocal state, info
        state, info, _ = program(state, info, arrays)
        return jax.block_until_ready(info.loss)

    evaluate = waiting_for(
        functools.partial(jaxstyle.objective_and_gradient, spec=spec), image, prepared, targets
    )
    for _ in range(history + 1):
        step()
    return Measured(step, evaluate, peak_memory(program))


def rows(
    cases: Sequence[tuple[str, LossSpec, int]], params: Any, size: int, rounds: int
) -> list[str]:
    """Measures recipes with lengths of the memory, and returns the lines of the table."""
    measured = [prepare(params, size, spec, history) for _, spec, history in cases]
    runs: dict[Any, Callable[[], Any]] = {}
    for i, case in enumerate(measured):
        runs |= {(i, "step"): case.step, (i, "evaluation"): case.evaluate}
    seconds = alternate(runs, rounds)

    def ratio(part: Any, whole: Any) -> float:
        return statistics.median(seconds[part]) / statistics.median(seconds[whole])

    return [
        f"| {name} | {history} | {ratio((i, 'step'), (i, 'evaluation')):.2f} | "
        f"{ratio((i, 'step'), (0, 'step')):.2f} | {case.memory / measured[0].memory:.2f} |"
        for i, ((name, _, history), case) in enumerate(zip(cases, measured, strict=True))
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = make_parser("scripts.benchmarks.steps", __doc__)
    add = parser.add_argument
    add("--network", default="compact", help="a network's name or file")
    add("--size", type=int, default=512, help="longer side in pixels")
    add("--history", type=int, nargs="+", default=[30, 100], metavar="N",
        help="lengths of L-BFGS's memory; other recipes have the first")  # fmt: skip
    add("--presets", nargs="*", default=[], metavar="NAME", help="other recipes")
    add("--rounds", type=int, default=9, help="how often each program has its turn")
    options = parser.parse_args(arguments)
    params = load_network(options.network, normalized=True).params
    suited = "compact" if is_compact(params) else "default"
    cases = [(suited, get_preset(suited).spec, history) for history in options.history]
    cases += [(name, get_preset(name).spec, options.history[0]) for name in options.presets]
    print("| recipe | pairs | step / evaluation | step / first | memory / first |")
    print("| --- | --- | --- | --- | --- |")
    print(*rows(cases, params, options.size, options.rounds), sep="\n")


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
