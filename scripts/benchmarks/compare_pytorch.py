"""Compares what style transfer costs in jaxstyle and in PyTorch.

    python -m scripts.benchmarks.compare_pytorch --data DATA --table costs.md --plot costs.png
    python -m scripts.benchmarks.compare_pytorch --data DATA --quick     # every part, in small

Both sides minimise the objective of the preset `default` over the same square pictures, with the
same weights. PyTorch's side is `torch_oracle.py`. It runs as it is and through `torch.compile`, and
jaxstyle is compared with the faster of the two. The sides take turns in one process; only peaks of
memory and starts of the command are measured in processes of their own. The parts:

    evaluation   times the objective and its gradient
    convergence  counts the evaluations and the seconds until the loss of jaxstyle's default solver
                 is as low as the least that PyTorch's L-BFGS has seen in so many evaluations,
                 without compilation; then the same with some evaluations at half the size first,
                 which count too
    memory       measures the resident peak of evaluations above what the process held before them:
                 that of the first evaluations, with all that they leave behind, and of later ones
    start        times the command `jaxstyle stylize` for one step, from files to a file: with an
                 empty cache of compiled programs (cold), and with the cache that this run left
                 (warm)
    flops        measures how many of the direct algorithm's operations are done per second
                 (Winograd's algorithm needs fewer), and the share of a large matrix product's rate
    batch        times batches of the smallest size, per picture

One line of JSON is printed for each case, and tables of the same on stderr. A ratio is PyTorch's
seconds or bytes over those of jaxstyle, so that it is above one where jaxstyle needs less. Seconds
are given as their median, the least and the most; a ratio's spread is that over the rounds.
"""

import argparse
import ctypes
import functools
import importlib.util
import itertools
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np

import jaxstyle
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.losses.spec import LossSpec
from jaxstyle.losses.targets import Targets
from jaxstyle.networks import vgg
from jaxstyle.optimization.transfer import initial_image
from scripts.benchmarks import comparison_report
from scripts.benchmarks.alternating import alternate, seconds_of, waiting_for
from scripts.benchmarks.benchmark_processes import resident
from scripts.benchmarks.comparison_report import spread
from scripts.benchmarks.comparison_sides import (
    OURS,
    THEIRS,
    Comparison,
    descend_theirs,
    fastest_of,
    import_torch,
    value_and_gradient,
)
from scripts.command_line import add_data_option, make_parser
from scripts.pairs import INITS, PAIRS, Case

MIB = 2**20


def evaluation(comparison: Comparison) -> Iterator[Case]:
    """Times the objective and its gradient."""
    for size in comparison.options.sizes:
        programs = comparison.programs(size)
        losses = {name: program.run() for name, program in programs.items()}
        seconds = alternate({k: v.run for k, v in programs.items()}, comparison.options.rounds)
        best = fastest_of({k: v for k, v in seconds.items() if k in THEIRS})
        for name, program in programs.items():
            yield {
                "size": size,
                "program": name,
                "loss": losses[name],
                "compile_seconds": program.compile_seconds,
                "seconds": spread(seconds[name]),
                "pytorch_to_this": ratio(seconds[best], seconds[name]),
            }


def convergence(comparison: Comparison) -> Iterator[Case]:
    """Counts evaluations and seconds down to PyTorch's losses, without compilation."""
    options, compiling = comparison.options, {}
    for size, number, init in itertools.product(options.sizes, range(options.pairs), INITS):
        name, problem = comparison.fastest(size), comparison.problem(size, number)
        image = initial_image(init, (size, size), comparison.params, content=problem.content)
        oracle = comparison.oracle(name, size, number)
        warm_up = comparison.descend_ours(problem, image, 2)
        compiling.setdefault(size, warm_up.seconds[-1])  # the first of a size compiles
        comparison.descend_coarse_first(size, number, init, 2)
        descend_theirs(oracle, image, 2)
        most, pairs = max(options.evaluations), []
        for _ in range(options.repeats):
            theirs = descend_theirs(oracle, image, most)
            goal = theirs.least(most)
            ours = comparison.descend_ours(problem, image, 2 * most, goal)
            coarse = comparison.descend_coarse_first(size, number, init, 2 * most, goal)
            pairs.append((theirs, ours, coarse))
        for count in options.evaluations:
            case: Case = {
                "size": size,
                "content": PAIRS[number][0],
                "init": init,
                "pytorch": name,
                "pytorch_evaluations": count,
                "loss": pairs[0][0].least(count),
                "compile_seconds": compiling[size],
            }
            goals = [theirs.least(count) for theirs, *_ in pairs]
            theirs, *both = (
                [side.reach(goal) for side, goal in zip(sides, goals, strict=True)]
                for sides in zip(*pairs, strict=True)
            )
            seconds = [each.seconds for each in theirs]
            case["pytorch_seconds"] = spread(seconds)
            for way, ours in zip(("jaxstyle", "coarse_first"), both, strict=True):
                if None not in ours:
                    mine = [each.seconds for each in ours]
                    case |= {
                        f"{way}_evaluations": spread([each.evaluations for each in ours]),
                        f"{way}_seconds": spread(mine),
                        f"pytorch_to_{way}": spread(np.divide(seconds, mine)),
                    }
            yield case


def memory(comparison: Comparison) -> Iterator[Case]:
    """Measures the peaks of evaluations, each in a process of its own."""
    if comparison.device == "cpu" and not sys.platform.startswith("linux"):
        print("memory: left out, because the peak is read from Linux's /proc", file=sys.stderr)
        return
    for size in comparison.options.sizes:
        peaks = {}
        for name in list(comparison.names):
            with comparison.attempt(name), multiprocessing.get_context("spawn").Pool(1) as pool:
                peaks[name] = pool.apply(measure_peak, (comparison.options, name, size))
        for kind in ("first", "later"):
            theirs = [each[kind] for name, each in peaks.items() if name in THEIRS and each[kind]]
            for name, each in peaks.items():
                if each[kind]:
                    yield {
                        "size": size,
                        "program": name,
                        "evaluations": kind,
                        "peak_mib": round(each[kind] / MIB, 1),
                        "pytorch_to_this": min(theirs) / each[kind],
                    }


def measure_peak(options: argparse.Namespace, name: str, size: int) -> dict[str, int | None]:
    """Returns the bytes of the first two evaluations, and of two later ones.

    Counted are the bytes at the peak above those held before. A program of `torch.compile` is
    compiled during its first evaluations, so only later ones are measured.
    """
    comparison = Comparison(options)
    run = comparison.program(name, size).run
    first = None if name == "pytorch compiled" else _peak_of_two(run, comparison, name)
    return {"first": first, "later": _peak_of_two(run, comparison, name)}


def _peak_of_two(run: Callable[[], Any], comparison: Comparison, name: str) -> int:
    if name in OURS and (stats := jax.devices()[0].memory_stats()):
        run(), run()
        return int(jax.devices()[0].memory_stats()["peak_bytes_in_use"] - stats["bytes_in_use"])
    if name in THEIRS and comparison.device == "cuda":
        cuda = import_torch().cuda
        cuda.reset_peak_memory_stats()
        held = cuda.memory_allocated()
        run(), run()
        return int(cuda.max_memory_allocated() - held)
    # Memory that compiling and loading left free would hide what the evaluations take.
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak counts from here
    held = resident("VmRSS")
    run(), run()
    return max(1, resident("VmHWM") - held)  # tiny pictures may fit into what is held


def start(comparison: Comparison) -> Iterator[Case]:
    """Times the command for one step, with an empty cache of programs and with a filled one."""
    root = str(Path(__file__).parents[2])
    for size in comparison.options.sizes:
        cold, warm = [], []
        for _ in range(comparison.options.repeats):
            with tempfile.TemporaryDirectory() as folder:
                problem = comparison.problem(size)
                for kind in ("content", "style"):
                    jaxstyle.save_image(f"{folder}/{kind}.png", getattr(problem, kind))
                line = (
                    f"stylize content.png style.png -o out.png --size {size} --steps 1 --quiet "
                    f"--preset default --network {Path(comparison.path).resolve()}"
                )
                environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMP")}
                places = [root, os.environ.get("PYTHONPATH", "")]
                environment["PYTHONPATH"] = os.pathsep.join(filter(None, places))
                environment["XDG_CACHE_HOME"] = f"{folder}/cache"
                run = functools.partial(
                    subprocess.run, [sys.executable, "-m", "jaxstyle", *line.split()],
                    cwd=folder, env=environment, check=True,
                )  # fmt: skip
                cold.append(seconds_of(run))
                warm.append(seconds_of(run))
        yield {
            "size": size,
            "cold_seconds": spread(cold),
            "warm_seconds": spread(warm),
            "warm_to_cold": ratio(warm, cold),
        }


def flops(comparison: Comparison) -> Iterator[Case]:
    """Compares the rate of the direct algorithm's operations with that of a matrix product."""
    side = 1024 if comparison.options.quick else 4096
    matrix = jax.random.normal(jax.random.key(0), (side, side))
    for size in comparison.options.sizes:
        runs: dict[str, Callable[[], Any]] = {
            name: program.run for name, program in comparison.programs(size).items()
        }
        runs["matrix product"] = waiting_for(jnp.matmul, matrix, matrix)
        seconds = alternate(runs, comparison.options.rounds)
        # The peak is the machine's best, not what it did on average.
        peak = 2 * side**3 / min(seconds.pop("matrix product"))
        count = direct_flops(comparison.params, (size, size), comparison.spec)
        for name, mine in seconds.items():
            rate = count / float(np.median(mine))
            yield {
                "size": size,
                "program": name,
                "gflop": count / 1e9,
                "gflop_per_second": rate / 1e9,
                "matrix_product_gflop_per_second": peak / 1e9,
                "share": rate / peak,
            }


def direct_flops(params: vgg.Params, shape: tuple[int, int], spec: LossSpec) -> int:
    """Counts the operations of the convolutions and of the gradients to their inputs.

    They are those of the direct algorithm, where a multiplication and an addition are two
    operations. Gram matrices and all elementwise operations are left out.
    """
    widths = vgg.network_widths(params)
    names = vgg.layer_names(widths)
    deepest = max(names.index(layer) for layer in spec.layers)
    total, c_in = 0, 3
    for name, c_out in widths:
        if names.index(name) <= deepest:
            h, w = (side >> (int(name[4]) - 1) for side in shape)
            total += 2 * 9 * c_in * c_out * h * w
        c_in = c_out
    return 2 * total


def batch(comparison: Comparison) -> Iterator[Case]:
    """Times evaluations of several pictures in one program."""
    size = min(comparison.options.sizes)
    problem, spec = comparison.problem(size), comparison.spec
    weights = comparison.weights.resolve(spec)

    @jax.jit
    def evaluate(lanes: jax.Array, params: Any, targets: Targets) -> Any:
        one = functools.partial(value_and_gradient, spec=spec)
        return jax.vmap(one, in_axes=(0, None, None, None))(lanes, params, targets, weights)

    shared = (comparison.params, problem.targets)
    runs = {
        width: waiting_for(evaluate, jnp.stack([problem.content] * width), *shared)
        for width in comparison.options.widths
    }
    seconds = alternate(runs, comparison.options.rounds)
    alone = seconds[comparison.options.widths[0]]
    for width, mine in seconds.items():
        each = np.divide(mine, width)
        yield {
            "size": size,
            "width": width,
            "seconds_a_picture": spread(each),
            "one_to_this": ratio(np.divide(alone, comparison.options.widths[0]), each),
        }


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """Returns the ratio of the medians, with the spread of the ratios of single rounds."""
    result = spread(np.divide(above, below))
    return result | {"median": float(np.median(above) / np.median(below))}


PARTS = {each.__name__: each for each in (evaluation, convergence, memory, start, flops, batch)}
FULL = {
    "sizes": [256, 512, 1024],
    "evaluations": [100, 300, 500],
    "rounds": 9,
    "repeats": 3,
    "coarse": 100,
    "widths": [1, 2, 4, 8],
    "torch_compile": True,
}
QUICK = {
    "sizes": [64],
    "evaluations": [5, 10],
    "rounds": 3,
    "repeats": 1,
    "coarse": 3,
    "widths": [1, 2],
    "torch_compile": False,
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("scripts.benchmarks.compare_pytorch", __doc__)
    add = parser.add_argument
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART",
        help=f"which of {', '.join(PARTS)} (default: all)")  # fmt: skip
    add_data_option(parser)
    add("--network", default="vgg19", help="the network: its name, or a file")
    add("--quick", action="store_true", help="take small pictures, few evaluations, one repeat")
    add("--sizes", type=int, nargs="+", help="sides of the square pictures, in pixels")
    add("--evaluations", type=int, nargs="+",
        help="evaluations of PyTorch's L-BFGS, whose losses jaxstyle has to reach")  # fmt: skip
    add("--rounds", type=int, help="how often each evaluation is timed")
    add("--repeats", type=int, help="how often each descent and each start is timed")
    add("--coarse", type=int, help="number of evaluations at half the size that come first")
    add("--widths", type=int, nargs="+", help="how many pictures the batches hold")
    add("--pairs", type=int, default=1, choices=range(1, len(PAIRS) + 1),
        help="number of pairs of a photograph and a painting, for convergence")  # fmt: skip
    add("--torch-compile", action=argparse.BooleanOptionalAction,
        help="run PyTorch through torch.compile too (default: unless --quick)")  # fmt: skip
    add("--tf32", action="store_true", help="let both sides multiply in TensorFloat-32 on a GPU")
    add("--table", type=Path, help="file for the tables (default: stderr)")
    add("--plot", type=Path, help="file for curves of cost by pixels, steps and batch")
    options = parser.parse_args(argv)
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    for module, extra, needed in (("torch", "parity", True), ("matplotlib", "plot", options.plot)):
        if needed and importlib.util.find_spec(module) is None:
            parser.error(f"this needs {module}: pip install '.[{extra}]'")
    # PyTorch needs a share of the GPU's memory too.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    comparison = Comparison(options)
    ran_on = describe_machine(comparison)
    cases = []
    for part in options.parts:
        for case in PARTS[part](comparison):
            cases.append({"part": part, **case})
            print(json.dumps({**ran_on, **cases[-1]}), flush=True)
    text = comparison_report.tables(cases, ran_on)
    if options.table is None:
        print(text, end="", file=sys.stderr)
    else:
        options.table.write_text(text, encoding="utf-8")
    if options.plot is not None:
        comparison_report.plot(cases, options.plot)


def describe_machine(comparison: Comparison) -> Case:
    """Returns what every case ran on."""
    torch = import_torch()
    return {
        "network": Path(comparison.path).name,
        "device": jax.devices()[0].device_kind,
        "pytorch_device": comparison.device,
        "tf32": comparison.options.tf32,
        "machine": platform.machine(),
        "cpus": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "pytorch_threads": torch.get_num_threads(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
