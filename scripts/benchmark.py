"""Measures jaxstyle on the real VGG-19; prints one line of JSON for each case.

    python scripts/benchmark.py lbfgs       # losses against torch.optim.LBFGS (needs PyTorch)
    python scripts/benchmark.py robustness  # 3 photographs × 7 paintings, from content and noise
    python scripts/benchmark.py range       # what saving as 8 bits does to the objective
    python scripts/benchmark.py history     # L-BFGS with 10 to 100 pairs remembered
    python scripts/benchmark.py bfloat16    # what computing the network in bfloat16 costs
    python scripts/benchmark.py compact     # how much faster than VGG-19 the compact network is
    python scripts/benchmark.py convolution # Winograd's convolutions against XLA's, by network
    python scripts/benchmark.py pages       # what huge memory pages save; see jaxstyle.pages
    python scripts/benchmark.py batch       # pictures a minute in batches of 1 to 32
    python scripts/benchmark.py memory      # measured peaks against the plans of plan_memory
    python scripts/benchmark.py rows        # memory a device, a picture's rows over several

Pictures come from the folder DATA (with subfolders content and style), the network by name, from
a file, or from the environment variable JAXSTYLE_PARAMS. Every case says what it ran on.
"""

import argparse
import dataclasses
import functools
import itertools
import json
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jax
import jaxlib
import numpy as np
from benchmark_processes import memory_cases, page_cases, row_cases
from pairs import INITS, PAINTINGS, PAIRS, PHOTOGRAPHS, Case
from timing import alternate

import jaxstyle
from jaxstyle import solvers
from jaxstyle._common import huge_pages
from jaxstyle.image import pixels
from jaxstyle.losses.objective import LossWeights, Targets
from jaxstyle.losses.spec import Precision, prepare_params
from jaxstyle.networks.convolution import Convolution
from jaxstyle.networks.load import load_network
from jaxstyle.optimization.batch import Lane, choose_width, descend_lanes
from jaxstyle.optimization.presets import get_preset
from jaxstyle.optimization.transfer import initial_image


class Bench:
    """The network, the pictures and the recipe that every case shares."""

    def __init__(self, arguments: argparse.Namespace):
        self.data, self.size = arguments.data, arguments.size
        self.network = arguments.network
        self.steps, self.count = arguments.steps, arguments.pairs
        self.solver = solvers.lbfgs(preconditioning=arguments.preconditioning)
        preset = get_preset(arguments.preset)
        network = load_network(arguments.network, normalized=preset.normalized or None)
        self.params, self.spec = network.params, preset.spec
        self.weights = preset.weights(self.params, (self.size, self.size))
        if arguments.range_weight is not None:
            self.weights = dataclasses.replace(self.weights, out_of_range=arguments.range_weight)
        if arguments.content_weight is not None:
            self.weights = dataclasses.replace(self.weights, content=arguments.content_weight)

    def images(self, content: str, style: str) -> tuple[jax.Array, jax.Array]:
        """A photograph and a painting, their longer sides `size` pixels."""
        return (
            jaxstyle.load_image(self.data / "content" / content, self.size),
            jaxstyle.load_image(self.data / "style" / style, self.size),
        )

    def free(self) -> LossWeights:
        """The weights without the range penalty."""
        return dataclasses.replace(self.weights, out_of_range=0.0)

    def free_objective(self, image: jax.Array, targets: Targets) -> float:
        """The objective of an image without the range penalty."""
        value, _ = jaxstyle.objective_and_gradient(
            image, self.params, targets, self.free(), spec=self.spec
        )
        return float(value.total)


def lbfgs(bench: Bench) -> Iterator[Case]:
    """The loss after as many evaluations, of jaxstyle's L-BFGS and of PyTorch's."""
    from torch_oracle import Oracle

    oracle = Oracle(bench.params, bench.spec, bench.weights)
    for (content_name, style_name), init in itertools.product(PAIRS[: bench.count], INITS):
        content, style = bench.images(content_name, style_name)
        start = initial_image(init, content.shape[:2], bench.params, content=content)
        targets = jaxstyle.compute_targets(bench.params, content, style, bench.spec)
        result = jaxstyle.optimize(
            start, bench.params, targets, spec=bench.spec, weights=bench.weights,
            num_steps=bench.steps - 1, solver=bench.solver,
        )  # fmt: skip
        ours = np.asarray(result.info.loss)
        oracle.set_targets(np.asarray(content), np.asarray(style))
        theirs = oracle.minimize(np.asarray(start), bench.steps)
        marks = [n for n in (25, 50, 100, 200, 300, 500) if n <= bench.steps]
        yield {
            "content": content_name,
            "style": style_name,
            "init": init,
            "loss": {n: float(ours[n - 1]) for n in marks},
            "ratio_to_torch": {n: float(ours[n - 1] / theirs[n - 1]) for n in marks},
        }


def robustness(bench: Bench) -> Iterator[Case]:
    """How far the loss falls, over every photograph and painting, and what saving does to it."""
    for content_name, style_name, init in itertools.product(PHOTOGRAPHS, PAINTINGS, INITS):
        content, style = bench.images(content_name, style_name)
        result = jaxstyle.stylize(
            bench.params, content, style,
            spec=bench.spec, weights=bench.weights, init=init, num_steps=bench.steps,
        )  # fmt: skip
        loss = np.asarray(result.info.loss)
        targets = jaxstyle.compute_targets(bench.params, content, style, bench.spec)
        as_float, as_saved = (
            bench.free_objective(image, targets)
            for image in (result.image, pixels.quantize(result.image))
        )
        yield {
            "content": content_name,
            "style": style_name,
            "init": init,
            "finite": bool(result.info.finite[-1]),
            "fall": float(loss[0] / loss[-1]),
            "saved_to_float": as_saved / as_float,
        }


def range_(bench: Bench) -> Iterator[Case]:
    """The objective of the float image and of the saved picture, with and without the penalty."""
    for (content_name, style_name), init in itertools.product(PAIRS[: bench.count], INITS):
        content, style = bench.images(content_name, style_name)
        targets = jaxstyle.compute_targets(bench.params, content, style, bench.spec)
        case: Case = {"content": content_name, "style": style_name, "init": init}
        for name, weights in (("kept", bench.weights), ("clipped", bench.free())):
            image = jaxstyle.stylize(
                bench.params, content, style,
                spec=bench.spec, weights=weights, init=init, num_steps=bench.steps,
            ).image  # fmt: skip
            for kind, picture in (("float", image), ("saved", pixels.quantize(image))):
                case[f"{name}_{kind}"] = bench.free_objective(picture, targets)
        case["kept_ratio"] = case["kept_saved"] / case["kept_float"]
        case["clipped_ratio"] = case["clipped_saved"] / case["clipped_float"]
        case["kept_to_clipped"] = case["kept_saved"] / case["clipped_saved"]
        yield case


def bfloat16(bench: Bench) -> Iterator[Case]:
    """The float32 objective after a descent whose network computes in bfloat16, by float32's own.

    A descent that is finite is compared; its ratio is above one where bfloat16 cost something.
    """
    for content_name, style_name in itertools.product(PHOTOGRAPHS, PAINTINGS):
        content, style = bench.images(content_name, style_name)
        targets = jaxstyle.compute_targets(bench.params, content, style, bench.spec)
        case: Case = {"content": content_name, "style": style_name}
        for precision in get_args(Precision):
            result = jaxstyle.stylize(
                bench.params, content, style,
                spec=dataclasses.replace(bench.spec, precision=precision),
                weights=bench.weights, num_steps=bench.steps, solver=bench.solver,
            )  # fmt: skip
            value, _ = jaxstyle.objective_and_gradient(
                result.image, bench.params, targets, bench.weights, spec=bench.spec
            )
            case[precision] = float(value.total)
            case[f"{precision}_finite"] = bool(np.all(result.info.finite))
        yield case | {"bfloat16_to_float32": case["bfloat16"] / case["float32"]}


def history(bench: Bench) -> Iterator[Case]:
    """The loss for several lengths of L-BFGS's memory, and the time of a step relative to 10's."""
    for (content_name, style_name), init in itertools.product(PAIRS[: bench.count], INITS):
        content, style = bench.images(content_name, style_name)
        case: Case = {"content": content_name, "style": style_name, "init": init}
        for pairs in (10, 20, 30, 50, 100):
            begin = time.perf_counter()
            result = jaxstyle.stylize(
                bench.params, content, style, spec=bench.spec, weights=bench.weights,
                solver=solvers.lbfgs(pairs), init=init, num_steps=bench.steps,
            )  # fmt: skip
            loss = np.asarray(result.info.loss)
            case[str(pairs)] = {"loss": float(loss[-1]), "half": float(loss[bench.steps // 2])}
            case[str(pairs)]["seconds"] = time.perf_counter() - begin
        yield case


def compact(bench: Bench) -> Iterator[Case]:
    """How many times as long VGG-19 takes as the compact network for a step's loss and gradient."""
    content, style = bench.images(*PAIRS[0])
    evaluations = {}
    for name in ("vgg19", "compact"):
        params = bench.params if name == "vgg19" else load_network(name).params
        targets = jaxstyle.compute_targets(params, content, style, bench.spec)
        params = prepare_params(params, content.shape[:2], bench.spec)  # once a descent

        def evaluate(params: Any = params, targets: Targets = targets) -> None:
            _, gradient = jaxstyle.objective_and_gradient(
                content, params, targets, bench.weights, spec=bench.spec
            )
            gradient.block_until_ready()

        evaluations[name] = evaluate
    seconds = alternate(evaluations, bench.steps)
    ratios = np.divide(seconds["vgg19"], seconds["compact"])
    yield {
        "seconds": {name: float(np.median(each)) for name, each in seconds.items()},
        "vgg19_to_compact": {"median": float(np.median(ratios)), "least": float(min(ratios))},
    }


def convolution(bench: Bench) -> Iterator[Case]:
    """Loss and gradient with Winograd's convolutions against the direct ones, alternating."""
    content, style = bench.images(*PAIRS[0])
    value_and_gradient = jax.jit(
        jax.value_and_grad(jaxstyle.objective, has_aux=True), static_argnames="spec"
    )
    for network in dict.fromkeys((bench.network, "compact")):
        params = bench.params if network == bench.network else load_network(network).params
        programs = {}
        for name in get_args(Convolution):
            spec = dataclasses.replace(bench.spec, convolution=name)
            targets = jaxstyle.compute_targets(params, content, style, spec)
            prepared = prepare_params(params, content.shape[:2], spec)  # once a descent
            arguments = (content, prepared, targets, bench.weights.resolve(spec))
            compiled = value_and_gradient.lower(*arguments, spec=spec).compile()
            programs[name] = compiled, arguments
        seconds = alternate(
            {name: functools.partial(_wait_for, *program) for name, program in programs.items()},
            bench.steps,
        )
        for name, (compiled, _) in programs.items():
            mine, direct = seconds[name], seconds["direct"]
            yield {
                "network": network,
                "convolution": name,
                "seconds": {"median": float(np.median(mine)), "least": min(mine)},
                "direct_to_this": {
                    "median": float(np.median(direct) / np.median(mine)),
                    "least": min(direct) / min(mine),
                },
                "temporary_mib": compiled.memory_analysis().temp_size_in_bytes / 2**20,
                "gflop": compiled.cost_analysis()["flops"] / 1e9,
            }


def _wait_for(program: Any, arguments: Any) -> None:
    jax.block_until_ready(program(*arguments))


def pages_(bench: Bench) -> Iterator[Case]:
    """Loss and gradient in a process with huge pages and in one without, alternating."""
    return page_cases(bench.network, bench.size, bench.steps)


def batch(bench: Bench) -> Iterator[Case]:
    """Pictures a minute by the width of the batch, against one after another, alternating."""
    content, style = bench.images(*PAIRS[0])
    lane = Lane(
        content,
        jaxstyle.compute_targets(bench.params, content, style, bench.spec),
        bench.weights.resolve(bench.spec),
    )
    options: Any = {"spec": bench.spec, "num_steps": bench.steps, "every": bench.steps}

    def seconds(count: int, width: int) -> float:
        begin = time.perf_counter()
        for _ in range(0, count, width):
            for _ in descend_lanes(bench.params, [lane] * width, width=width, **options):
                pass
        return time.perf_counter() - begin

    chosen = choose_width(bench.params, (bench.size, bench.size), spec=bench.spec)
    widths = [1, 2, 4, 8] if jax.default_backend() == "cpu" else [1, 2, 4, 8, 16, 32]
    for width in widths:
        seconds(width, width)  # compiles
    seconds(1, 1)
    for width in widths:
        many = max(width, 4)
        ratios = [seconds(many, 1) / seconds(many, width) for _ in range(3)]
        yield {
            "width": width,
            "chosen_width": chosen,
            "pictures_a_minute": round(60 * many / seconds(many, width), 2),
            "to_one_after_another": round(float(np.median(ratios)), 3),
        }


def memory(bench: Bench) -> Iterator[Case]:
    """The peak of a run against its plan, each in a process of its own."""
    sizes = (bench.size, 3 * bench.size // 2)
    return memory_cases(("compact", "vgg19"), sizes, (1, 2), bench.network, bench.steps)


def rows(bench: Bench) -> Iterator[Case]:
    """Memory of a device by how many share a picture's rows, as the compiler plans it."""
    return row_cases(bench.network, bench.size)


BENCHMARKS = {
    "batch": (batch, 256, 20),
    "memory": (memory, 512, 3),
    "rows": (rows, 1024, 0),
    "pages": (pages_, 512, 10),
    "compact": (compact, 512, 10),
    "convolution": (convolution, 512, 5),
    "lbfgs": (lbfgs, 256, 300),
    "robustness": (robustness, 192, 100),
    "range": (range_, 192, 150),
    "bfloat16": (bfloat16, 128, 100),
    "history": (history, 160, 300),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmark", choices=BENCHMARKS)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--network", default="vgg19")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--range-weight", type=float, help="instead of the preset's")
    parser.add_argument("--content-weight", type=float, help="instead of the preset's")
    parser.add_argument(
        "--preconditioning", type=float, default=solvers.PRECONDITIONING, help="of lbfgs"
    )
    parser.add_argument("--size", type=int, help="longer side in pixels")
    parser.add_argument("--steps", type=int, help="steps, or evaluations")
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="how many pairs")
    arguments = parser.parse_args()
    run, size, steps = BENCHMARKS[arguments.benchmark]
    arguments.size = arguments.size or size
    arguments.steps = arguments.steps or steps
    ran_on = {
        "benchmark": arguments.benchmark,
        "preset": arguments.preset,
        "size": arguments.size,
        "steps": arguments.steps,
        "device": jax.devices()[0].device_kind,
        "machine": platform.machine(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
    }
    for case in run(Bench(arguments)):
        print(json.dumps({**ran_on, **case}), flush=True)


if __name__ == "__main__":
    huge_pages.restart_with_huge_pages()
    main()
