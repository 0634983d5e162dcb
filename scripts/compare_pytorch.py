"""What style transfer costs in jaxstyle and in PyTorch: the same objective, weights and pictures.

    python scripts/compare_pytorch.py --network vgg19 --data DATA --table costs.md --plot costs.png
    python scripts/compare_pytorch.py --quick     # every part, small, in a minute or two

Both sides minimise the `default` preset's objective over square pictures; `scripts/torch_oracle.py`
is PyTorch's side, run as it is and through `torch.compile`, and the faster of the two is what
jaxstyle is compared with. The sides take turns in one process; only peaks of memory and starts of
the command are measured in processes of their own. The parts:

    evaluation   seconds of the objective and its gradient
    convergence  evaluations and seconds until jaxstyle's default solver is as low as the least loss
                 that PyTorch's L-BFGS has seen in so many evaluations, compilation apart; and the
                 same with some evaluations at half the size first, counted with the rest
    memory       resident peak of evaluations above what the process held before them: of the first
                 ones, with all that they leave behind, and of later ones
    start        the command `jaxstyle stylize` for one step, picture to picture, with an empty
                 cache of compiled programs (cold) and with the one that this left (warm)
    flops        how fast the direct algorithm's operations are done (Winograd's needs fewer), and
                 what share of the rate of a large matrix product that is
    batch        seconds a picture by the width of a batch, for the smallest size

Prints one line of JSON for each case, and the same as tables on stderr. Ratios are PyTorch's
seconds or bytes over those of jaxstyle: above one where jaxstyle needs less. A measurement is its
median, with the least and the most; of ratios the spread is that over the pairs.
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

import comparison_report
import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
from benchmark_processes import resident
from comparison_report import spread
from comparison_sides import (
    OURS,
    THEIRS,
    Comparison,
    descend_theirs,
    fastest_of,
    import_torch,
    value_and_gradient,
)
from pairs import INITS, PAIRS, Case
from timing import alternate, seconds_of

import jaxstyle
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.losses.spec import LossSpec
from jaxstyle.losses.targets import Targets
from jaxstyle.networks import vgg
from jaxstyle.optimization.transfer import initial_image

MIB = 2**20


def evaluation(comparison: Comparison) -> Iterator[Case]:
    """Seconds of the objective and its gradient."""
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
    """Evaluations and seconds to PyTorch's losses, compilation counted apart."""
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
    """Peaks of evaluations, each in a process of its own."""
    if comparison.device == "cpu" and not sys.platform.startswith("linux"):
        print("memory: left out, for the peak is read from Linux's /proc", file=sys.stderr)
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
    """Bytes at the peak of two evaluations above those held before: of the first, and of later.

    What `torch.compile` makes compiles in its first evaluations, and has later ones only.
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
    # What the compiler and the loading left free would hide what the evaluations take.
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    held = resident("VmRSS")
    run(), run()
    return max(1, resident("VmHWM") - held)  # tiny pictures may fit into what is held


def start(comparison: Comparison) -> Iterator[Case]:
    """Seconds of the command for one step, without and with compiled programs kept before."""
    root = str(Path(__file__).parents[1])
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
    """How fast the direct algorithm's operations are done, beside a matrix product's."""
    side = 1024 if comparison.options.quick else 4096
    matrix = jax.random.normal(jax.random.key(0), (side, side))
    for size in comparison.options.sizes:
        runs: dict[str, Callable[[], Any]] = {
            name: program.run for name, program in comparison.programs(size).items()
        }
        runs["matrix product"] = functools.partial(_wait_for, jnp.matmul, matrix, matrix)
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
    """Operations of the convolutions and of the gradients to their inputs, by their definition.

    A multiplication and an addition are two; Gram matrices and all that is done elementwise are
    left out.
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
    """Seconds a picture when jaxstyle evaluates several in one program."""
    size = min(comparison.options.sizes)
    problem, spec = comparison.problem(size), comparison.spec
    weights = comparison.weights.resolve(spec)

    @jax.jit
    def evaluate(lanes: jax.Array, params: Any, targets: Targets) -> Any:
        one = functools.partial(value_and_gradient, spec=spec)
        return jax.vmap(one, in_axes=(0, None, None, None))(lanes, params, targets, weights)

    shared = (comparison.params, problem.targets)
    runs = {
        width: functools.partial(_wait_for, evaluate, jnp.stack([problem.content] * width), *shared)
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


def _wait_for(function: Callable[..., Any], *arguments: Any) -> Any:
    return jax.block_until_ready(function(*arguments))


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """The ratio of medians, with the spread of the ratios of pairs."""
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART",
        help=f"of {', '.join(PARTS)}; all by default")  # fmt: skip
    add("--data", type=Path, default=Path("../shared/data"))
    add("--network", default="vgg19", help="a name or a file")
    add("--quick", action="store_true", help="small pictures, few evaluations, one repeat")
    add("--sizes", type=int, nargs="+", help="sides of the square pictures, in pixels")
    add("--evaluations", type=int, nargs="+", help="of PyTorch's L-BFGS, whose losses to reach")
    add("--rounds", type=int, help="how often each evaluation is timed")
    add("--repeats", type=int, help="how often each descent and each start is timed")
    add("--coarse", type=int, help="evaluations at half the size, where they come first")
    add("--widths", type=int, nargs="+", help="of batches")
    add("--pairs", type=int, default=1, choices=range(1, len(PAIRS) + 1),
        help="of a photograph and a painting, for convergence")  # fmt: skip
    add("--torch-compile", action=argparse.BooleanOptionalAction,
        help="PyTorch through torch.compile too; by default unless --quick")  # fmt: skip
    add("--tf32", action="store_true", help="on a GPU, let both sides multiply in TensorFloat-32")
    add("--table", type=Path, help="a file for the tables, in place of stderr")
    add("--plot", type=Path, help="a picture of how cost grows with pixels, steps and batch")
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
        options.table.write_text(text)
    if options.plot is not None:
        comparison_report.plot(cases, options.plot)


def describe_machine(comparison: Comparison) -> Case:
    """What every case ran on."""
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
