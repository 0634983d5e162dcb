"""Runs jaxstyle and PyTorch, the two sides of `compare_pytorch.py`, on one problem."""

import argparse
import contextlib
import functools
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxstyle
from jaxstyle.image import pixels
from jaxstyle.losses.features import prepare_params
from jaxstyle.losses.spec import LossSpec
from jaxstyle.losses.targets import Targets
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.descent import descend
from jaxstyle.optimization.presets import get_preset
from jaxstyle.optimization.transfer import Init, initial_image
from scripts.benchmarks.alternating import alternate, seconds_of
from scripts.pairs import PAIRS

# What each program changes in the spec.
OURS: dict[str, dict[str, Any]] = {
    "jaxstyle auto": {},
    "jaxstyle without bands": {"memory": "plain"},
    "jaxstyle direct": {"convolution": "direct"},
    "jaxstyle low memory": {"memory": "low"},
}
THEIRS = ("pytorch eager", "pytorch compiled")


class Program(NamedTuple):
    """Holds one evaluation of the objective and its gradient, ready to run.

    Attributes:
      run: waits for the result and returns the loss.
      compile_seconds: how long compilation took; None where nothing is compiled.
    """

    run: Callable[[], float]
    compile_seconds: float | None


class Problem(NamedTuple):
    """Holds pictures `[size, size, 3]` and jaxstyle's targets."""

    content: jax.Array
    style: jax.Array
    targets: Targets


class Reached(NamedTuple):
    """Holds what it took to come down to a loss."""

    evaluations: int
    seconds: float


class Descent(NamedTuple):
    """Holds the loss of every evaluation and the last picture.

    Attributes:
      losses: the loss of each evaluation.
      seconds: the time from the start until each loss was known.
      image: the picture at the end.
    """

    losses: list[float]
    seconds: list[float]
    image: jax.Array | None = None

    def least(self, evaluations: int) -> float:
        """Returns the least loss of the first evaluations."""
        return min(self.losses[:evaluations])

    def reach(self, loss: float) -> Reached | None:
        """Finds the first evaluation whose loss was no more than this; None if there is none."""
        for i, (mine, seconds) in enumerate(zip(self.losses, self.seconds, strict=True), 1):
            if mine <= loss:
                return Reached(i, seconds)
        return None


class Comparison:
    """Holds the network, the recipe and the programs of both sides; each is made once."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.names = [*OURS, *(THEIRS if options.torch_compile else THEIRS[:1])]
        preset = get_preset("default")
        network = load_network(options.network, normalized=preset.normalized)
        self.path, self.spec = network.path, preset.spec
        self.params = jax.tree.map(jnp.asarray, network.params)
        self.weights = preset.weights(self.params, (64, 64))
        on_gpu = jax.default_backend() == "gpu"
        self.device = "cuda" if on_gpu and import_torch().cuda.is_available() else "cpu"
        if on_gpu:
            jax.config.update(
                "jax_default_matmul_precision", "tensorfloat32" if options.tf32 else "float32"
            )
            import_torch().backends.cudnn.benchmark = True
            for library in (import_torch().backends.cudnn, import_torch().backends.cuda.matmul):
                library.allow_tf32 = options.tf32

    @functools.cache  # noqa: B019 (it lives as long as the script)
    def problem(self, size: int, pair: int = 0) -> Problem:
        """Reads a photograph and a painting as squares of `size` pixels."""
        content, style = (
            jaxstyle.load_image(self.options.data / kind / name, shape=(size, size))
            for kind, name in zip(("content", "style"), PAIRS[pair], strict=True)
        )
        targets = jaxstyle.compute_targets(self.params, content, style, self.spec)
        return Problem(content, style, targets)

    @functools.cache  # noqa: B019
    def oracle(self, name: str, size: int, pair: int = 0) -> Any:
        """Returns PyTorch's side with its targets, compiled or not."""
        from scripts.benchmarks.torch_oracle import Oracle

        problem = self.problem(size, pair)
        oracle = Oracle(self.params, self.spec, self.weights, device=self.device)
        oracle.set_targets(np.asarray(problem.content), np.asarray(problem.style))
        if name == "pytorch compiled":
            oracle.objective = import_torch().compile(oracle.objective, dynamic=False)
        return oracle

    @functools.cache  # noqa: B019
    def program(self, name: str, size: int) -> Program:
        """Returns the evaluation of one of `OURS` or `THEIRS`."""
        if name in OURS:
            return self._ours(name, size)
        oracle, torch = self.oracle(name, size), import_torch()
        variable = oracle.to_torch(np.asarray(self.problem(size).content)).requires_grad_()

        def run() -> float:
            variable.grad = None
            loss = oracle.objective(variable)
            loss.backward()
            if self.device == "cuda":
                torch.cuda.synchronize()
            return float(loss.detach())

        if name != "pytorch compiled":
            return Program(run, None)
        first, second = seconds_of(run), seconds_of(run)  # the first one compiles
        return Program(run, first - second)

    def _ours(self, name: str, size: int) -> Program:
        spec = self.spec.with_vgg(**OURS[name])
        problem = self.problem(size)
        params = prepare_params(self.params, (size, size), spec)  # once per descent
        arguments = (problem.content, params, problem.targets, self.weights.resolve(spec))
        begin = time.perf_counter()
        compiled = value_and_gradient.lower(*arguments, spec=spec).compile()
        seconds = time.perf_counter() - begin
        return Program(lambda: float(jax.block_until_ready(compiled(*arguments))[0][0]), seconds)

    @contextlib.contextmanager
    def attempt(self, name: str) -> Iterator[None]:
        """Leaves `torch.compile` out once it has failed: it needs a working C++ compiler."""
        try:
            yield
        except Exception as error:
            if name != "pytorch compiled":
                raise
            self.names.remove(name)
            print(f"{name} fails here: {str(error).splitlines()[0]}", file=sys.stderr)

    def programs(self, size: int, among: Sequence[str] = (*OURS, *THEIRS)) -> dict[str, Program]:
        """Returns the evaluations that were asked for and work here."""
        found = {}
        for name in [name for name in self.names if name in among]:
            with self.attempt(name):
                found[name] = self.program(name, size)
        return found

    @functools.cache  # noqa: B019
    def fastest(self, size: int) -> str:
        """Returns the name of the faster of PyTorch's evaluations."""
        programs = self.programs(size, THEIRS)
        return fastest_of(alternate({name: each.run for name, each in programs.items()}, 3))

    def descend_ours(
        self, problem: Problem, start: jax.Array, evaluations: int, until: float = 0.0
    ) -> Descent:
        """Runs the default solver until the loss is low enough or the evaluations are spent."""
        every = 1 if jax.default_backend() == "cpu" else 10  # steps per compiled program
        descent = Descent([], [])
        begin = time.perf_counter()
        for progress in descend(
            start, self.params, problem.targets, spec=self.spec, weights=self.weights,
            num_steps=max(evaluations - 1, every), every=every,
        ):  # fmt: skip
            losses = np.asarray(progress.info.loss).tolist()
            descent.losses.extend(losses)
            descent.seconds.extend([time.perf_counter() - begin] * len(losses))
            if min(losses) <= until:
                break
        return descent._replace(image=progress.state.image)

    def descend_coarse_first(
        self, size: int, pair: int, init: Init, evaluations: int, until: float = 0.0
    ) -> Descent:
        """Begins with evaluations at half the size, then goes on as `descend_ours`.

        At half the size the objective is another one, so its losses are noted as infinite.
        """
        small, problem = self.problem(size // 2, pair), self.problem(size, pair)
        shape = (size // 2, size // 2)
        image = initial_image(init, shape, self.params, content=small.content)
        first = self.descend_ours(small, image, self.options.coarse)
        start = pixels.resize(first.image, (size, size))
        then = self.descend_ours(problem, start, evaluations, until)
        return Descent(
            [math.inf] * len(first.losses) + then.losses,
            first.seconds + [first.seconds[-1] + seconds for seconds in then.seconds],
            then.image,
        )


def descend_theirs(oracle: Any, start: jax.Array, evaluations: int) -> Descent:
    """Runs PyTorch's L-BFGS for a number of evaluations."""
    seconds: list[float] = []
    begin = time.perf_counter()
    losses = oracle.minimize(
        np.asarray(start), evaluations, lambda _: seconds.append(time.perf_counter() - begin)
    )
    return Descent(losses, seconds[: len(losses)])


@functools.partial(jax.jit, static_argnames="spec")
def value_and_gradient(
    image: jax.Array, params: Any, targets: Targets, weights: Any, *, spec: LossSpec
) -> Any:
    """Evaluates `((loss, terms), gradient)`, as both sides do."""
    function = jax.value_and_grad(jaxstyle.objective, has_aux=True)
    return function(image, params, targets, weights, spec=spec)


def fastest_of(seconds: Mapping[str, Sequence[float]]) -> str:
    """Returns the name whose median is the least."""
    return min(seconds, key=lambda name: np.median(seconds[name]))


def import_torch() -> Any:
    """Imports PyTorch only where it is needed, because its import is slow."""
    import torch

    return torch
