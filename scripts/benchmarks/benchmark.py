"""Measures jaxstyle on the real VGG-19 and prints one line of JSON for each case.

    python -m scripts.benchmarks.benchmark NAME --data DATA

NAME is one of these:

    lbfgs        compares the losses with those of torch.optim.LBFGS (needs PyTorch)
    robustness   stylises 3 photographs × 7 paintings, from the photograph and from noise
    range        measures what saving in 8 bits does to the objective
    history      compares L-BFGS with 10 to 100 remembered pairs
    bfloat16     measures what computing the network in bfloat16 costs
    compact      measures how much faster than VGG-19 the compact network is
    convolution  compares Winograd's convolutions with XLA's, for each network
    pages        measures what huge memory pages save; see jaxstyle.pages
    batch        counts the pictures per minute in batches of 1 to 32
    memory       compares measured peaks with the plans of plan_memory
    rows         plans the memory per device when several devices share a picture's rows

The pictures come from the folder DATA, with the subfolders content and style. The network is given
by its name, as a file, or by the environment variable JAXSTYLE_PARAMS. Every case says what it ran
on.
"""

import argparse
import dataclasses
import itertools
import json
import platform
import time
from collections.abc import Iterator
from typing import Any, get_args

import jax
import jaxlib
import numpy as np

import jaxstyle
from jaxstyle import LossWeights, Targets, solvers
from jaxstyle._common import huge_pages
from jaxstyle.image import pixels
from jaxstyle.losses.features import prepare_params
from jaxstyle.networks.convolution import Convolution
from jaxstyle.networks.load import load_network
from jaxstyle.networks.spec import Precision
from jaxstyle.optimization.batch import Lane, choose_width, descend_lanes
from jaxstyle.optimization.presets import get_preset
from jaxstyle.optimization.transfer import initial_image
from scripts.benchmarks.alternating import alternate, waiting_for
from scripts.benchmarks.benchmark_processes import memory_cases, page_cases, row_cases
from scripts.command_line import add_data_option, make_parser
from scripts.pairs import INITS, PAINTINGS, PAIRS, PHOTOGRAPHS, Case


class Bench:
    """Holds the network, the pictures and the recipe that every case shares."""

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
        """Reads a photograph and a painting; their longer sides get `size` pixels."""
        return (
            jaxstyle.load_image(self.data / "content" / content, self.size),
            jaxstyle.load_image(self.data / "style" / style, self.size),
        )

    def free(self) -> LossWeights:
        """Returns the weights without the range penalty."""
        return dataclasses.replace(self.weights, out_of_range=0.0)

    def free_objective(self, image: jax.Array, targets: Targets) -> float:
        """Returns the objective of an image without the range penalty."""
        value, _ = jaxstyle.objective_and_gradient(
            image, self.params, targets, self.free(), spec=self.spec
        )
        return float(value.total)


def lbfgs(bench: Bench) -> Iterator[Case]:
    """Compares the least losses of jaxstyle's L-BFGS and of PyTorch's after as many evaluations."""
    from scripts.benchmarks.torch_oracle import Oracle

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
        theirs = np.minimum.accumulate(oracle.minimize(np.asarray(start), bench.steps))
        marks = [n for n in (25, 50, 100, 200, 300, 500) if n <= bench.steps]
        yield {
            "content": content_name,
            "style": style_name,
            "init": init,
            "loss": {n: float(ours[n - 1]) for n in marks},
            "ratio_to_torch": {n: float(ours[n - 1] / theirs[n - 1]) for n in marks},
        }


def robustness(bench: Bench) -> Iterator[Case]:
    """Measures how far the loss falls for every pair, and what saving does to it."""
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
    """Compares the float image with the saved picture, with and without the range penalty."""
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
    """Compares descents whose network computes in bfloat16 with those in float32.

    Both ends are judged by the objective in float32. The ratio is above one where bfloat16 cost
    something; each case also says whether the descents stayed finite.
    """
    for content_name, style_name in itertools.product(PHOTOGRAPHS, PAINTINGS):
        content, style = bench.images(content_name, style_name)
        targets = jaxstyle.compute_targets(bench.params, content, style, bench.spec)
        case: Case = {"content": content_name, "style": style_name}
        for precision in get_args(Precision):
            result = jaxstyle.stylize(
                bench.params, content, style,
                spec=bench.spec.with_vgg(precision=precision),
                weights=bench.weights, num_steps=bench.steps, solver=bench.solver,
            )  # fmt: skip
            value, _ = jaxstyle.objective_and_gradient(
                result.image, bench.params, targets, bench.weights, spec=bench.spec
            )
            case[precision] = float(value.total)
            case[f"{precision}_finite"] = bool(np.all(result.info.finite))
        yield case | {"bfloat16_to_float32": case["bfloat16"] / case["float32"]}


def history(bench: Bench) -> Iterator[Case]:
    """Measures the loss and the time of a descent for several lengths of L-BFGS's memory."""
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
    """Compares how long VGG-19 and the compact network take for a loss and its gradient."""
    content, style = bench.images(*PAIRS[0])
    evaluations = {}
    for name in ("vgg19", "compact"):
        params = bench.params if name == "vgg19" else load_network(name).params
        targets = jaxstyle.compute_targets(params, content, style, bench.spec)
        params = prepare_params(params, content.shape[:2], bench.spec)  # once per descent

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
    """Times the loss and its gradient by how the convolutions are computed, in turns."""
    content, style = bench.images(*PAIRS[0])
    value_and_gradient = jax.jit(
        jax.value_and_grad(jaxstyle.objective, has_aux=True), static_argnames="spec"
    )
    for network in dict.fromkeys((bench.network, "compact")):
        params = bench.params if network == bench.network else load_network(network).params
        programs = {}
        for name in get_args(Convolution):
            spec = bench.spec.with_vgg(convolution=name)
            targets = jaxstyle.compute_targets(params, content, style, spec)
            prepared = prepare_params(params, content.shape[:2], spec)  # once per descent
            arguments = (content, prepared, targets, bench.weights.resolve(spec))
            compiled = value_and_gradient.lower(*arguments, spec=spec).compile()
            programs[name] = compiled, arguments
        seconds = alternate(
            {
                name: waiting_for(program, *arguments)
                for name, (program, arguments) in programs.items()
            },
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


def pages_(bench: Bench) -> Iterator[Case]:
    """Times the loss and its gradient in a process with huge pages and in one without, in turns."""
    return page_cases(bench.network, bench.size, bench.steps)


def batch(bench: Bench) -> Iterator[Case]:
    """Counts the pictures per minute in batches, and compares with one after another."""
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
    """Compares the peaks of runs with their plans, each in a process of its own."""
    sizes = (bench.size, 3 * bench.size // 2)
    return memory_cases(("compact", "vgg19"), sizes, (1, 2), bench.network, bench.steps)


def rows(bench: Bench) -> Iterator[Case]:
    """Plans the memory per device by how many devices share a picture's rows."""
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
    parser = make_parser("scripts.benchmarks.benchmark", __doc__)
    add = parser.add_argument
    add("benchmark", choices=BENCHMARKS, metavar="NAME", help="what to measure")
    add_data_option(parser)
    add("--network", default="vgg19", help="the network: its name, or a file")
    add("--preset", default="default", help="the recipe")
    add("--range-weight", type=float, help="weight of the range penalty, in place of the preset's")
    add("--content-weight", type=float, help="weight of the content, in place of the preset's")
    add("--preconditioning", type=float, default=solvers.PRECONDITIONING,
        help="exponent of L-BFGS's coordinates")  # fmt: skip
    add("--size", type=int, help="longer side in pixels")
    add("--steps", type=int, help="steps of a descent, evaluations, or rounds of timing")
    add("--pairs", type=int, default=len(PAIRS),
        help="number of pairs of a photograph and a painting")  # fmt: skip
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
