"""Compiled programs that outlive the process, found without being traced.

JAX's own cache keeps what the compiler makes, but a program has to be traced and lowered before it
can be looked up there. For a deep network that takes longer than all else that a second start does.
Here a program is found by what decides it: the function, its static arguments, the forms of its
arrays, and the sources and versions of all that takes part in tracing.

Nothing is kept unless a process says where, which only the command does: a function of a user's own
could be another one under the same name.

On a CPU, the compiler can also be asked to hurry. `python -m scripts.benchmarks.compiling` measures
what it takes then, and how much slower the programs are.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import io
import os
import pickle
import weakref
import zlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import serialize_executable
from jax.experimental.compilation_cache import compilation_cache

from jaxstyle._common import files
from jaxstyle._common.arrays import is_traced, is_tracing

_TRACED_BY = ("jax", "jaxlib", "flax", "optax", "jaxopt", "numpy")
# Where JAX keeps its own entries decides no program.
_ASIDE = "cache"

# Fewer passes of LLVM, and XLA's older emitters of fused loops. Only for CPUs.
HURRY: Mapping[str, Any] = {
    "xla_cpu_use_fusion_emitters": False,
    "xla_backend_optimization_level": 1,
}
"""What the compiler is asked for a program that soon has done its work."""

Hurry = Callable[[Sequence[Any], Mapping[str, Any]], bool]

# Pixels of an image up to which a single run does not take longer by more than is gained.
_ONCE = 2**19

_folder: Path | None = None
_functions: "weakref.WeakSet[_Kept]" = weakref.WeakSet()


def keep_in(folder: Path | None) -> None:
    """Lets all functions of `kept` keep their programs in a folder, or in none.

    Args:
      folder: it must belong to the user alone. Whoever can write there can have a program run.
    """
    global _folder
    _folder = folder


def always(_: Sequence[Any], __: Mapping[str, Any]) -> bool:
    """Lets the compiler hurry in any case: for programs that take no time."""
    return True


def never(_: Sequence[Any], __: Mapping[str, Any]) -> bool:
    """Lets the compiler take its time."""
    return False


def once(place: int) -> Hurry:
    """Lets the compiler hurry for a program that runs once, on an image that is not large.

    Args:
      place: that of the image `[..., H, W, C]` among the arrays.
    """

    def hurry(arrays: Sequence[Any], _: Mapping[str, Any]) -> bool:
        height, width = np.shape(arrays[place])[-3:-1]
        return bool(height * width <= _ONCE)

    return hurry


def forget() -> None:
    """Lets go of the programs in memory, as `jax.clear_caches` does; those on the disk stay."""
    for function in list(_functions):
        function.forget()


def kept(
    function: Callable[..., Any],
    *,
    static_argnames: Sequence[str] | str = (),
    donated: Sequence[int] = (),
    hurry: Hurry = never,
) -> Any:
    """Compiles a function like `jax.jit`, and keeps its programs where `keep_in` says.

    Static arguments are given by name, arrays by place.

    Args:
      function: a pure function of arrays, at the top of a module.
      static_argnames: its static arguments, which can be pickled.
      donated: the places of arrays that the caller gives up: the results may lie where they lay.
      hurry: given the arrays and the static arguments, tells whether the program runs so briefly
        that compiling it takes longer. Then a CPU gets one that is compiled in about half the time
        and runs a little slower.

    Example:
      >>> import jax.numpy as jnp
      >>> double = kept(lambda x: 2 * x)
      >>> int(double(jnp.int32(3)))
      6
    """
    return _Kept(function, static_argnames, donated, hurry)


class _Kept:
    def __init__(
        self,
        function: Callable[..., Any],
        static_argnames: Sequence[str] | str,
        donated: Sequence[int],
        hurry: Hurry,
    ):
        functools.update_wrapper(self, function)
        self._jit = functools.partial(
            jax.jit, function, static_argnames=static_argnames, donate_argnums=tuple(donated)
        )
        self._jitted, self._hurry = self._jit(), hurry
        self._inside = self._jit(donate_argnums=()) if donated else self._jitted
        self.lower = self._jitted.lower
        self._programs: dict[Hashable, Callable[..., Any]] = {}
        _functions.add(self)

    def __call__(self, *arrays: Any, **static: Any) -> Any:
        """Runs the program of the arguments."""
        leaves, structure = jax.tree.flatten(arrays)
        if is_traced(leaves) or is_tracing():
            return self._inside(*arrays, **static)
        if _folder is None or not _at_home(leaves):
            return self._compiled(arrays, static)(*arrays, **static)
        forms = tuple((x.shape, x.dtype, x.weak_type) for x in map(jax.typeof, leaves))
        key = structure, forms, tuple(sorted(static.items()))
        if key not in self._programs:
            self._programs[key] = self._program(_folder, arrays, static, (structure, forms))
        return self._programs[key](*arrays)

    def forget(self) -> None:
        """Lets go of the programs in memory."""
        self._programs.clear()

    def _compiled(self, arrays: Any, static: dict[str, Any]) -> Callable[..., Any]:
        """Returns the function as JAX compiles and keeps it, with the same bits as `_program`."""
        return self._hurried if self._hurry(arrays, static) and _can_hurry() else self._jitted

    @functools.cached_property
    def _hurried(self) -> Any:
        return self._jit(compiler_options=dict(HURRY))

    def _program(self, folder: Path, arrays: Any, static: dict[str, Any], forms: Any) -> Any:
        """Returns a program that was kept, or one that is kept from now on, if it can be."""
        name = f"{self.__module__}.{self.__qualname__}"  # type: ignore[attr-defined]
        try:
            decided_by = repr((_surroundings(), name, forms)).encode() + _pickled(static)
        except (pickle.PicklingError, AttributeError, TypeError):  # a function of no module
            return functools.partial(self._compiled(arrays, static), **static)
        path = folder / f"{name}-{hashlib.sha256(decided_by).hexdigest()}-cache"
        program = _load(path)
        if program is None:
            lowered = self._jitted.lower(*arrays, **static)
            # JAX makes libraries such as LAPACK ready when it lowers a call of theirs; without
            # that, the program would crash.
            if "custom_call" in lowered.as_text():
                return functools.partial(self._compiled(arrays, static), **static)
            options = dict(HURRY) if self._hurry(arrays, static) and _can_hurry() else None
            with _compiled_anew():
                program = lowered.compile(compiler_options=options)
            _save(path, program)
        return program


@functools.cache
def _can_hurry() -> bool:
    """Tells whether this device's compiler knows what it is asked."""
    if jax.default_backend() != "cpu":
        return False
    try:
        jax.jit(lambda: 0).lower().compile(compiler_options=dict(HURRY))
    except jax.errors.JaxRuntimeError:  # of another version
        return False
    return True


def _at_home(leaves: Sequence[Any]) -> bool:
    """Tells whether all arrays lie on the device that JAX would choose, or on none yet."""
    home = {jax.devices()[0]}
    return all(not isinstance(leaf, jax.Array) or leaf.devices() == home for leaf in leaves)


@functools.cache
def _surroundings() -> tuple[Any, ...]:
    """Returns what decides all programs of this process alike."""
    sources = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        sources.update(path.read_bytes())
    versions = [importlib.metadata.version(name) for name in _TRACED_BY]
    settings = {k: repr(v) for k, v in jax.config.values.items() if _ASIDE not in k}
    flags = {k: v for k, v in os.environ.items() if k.startswith(("XLA_", "LIBTPU_"))}
    device = jax.devices()[0]
    where = device.device_kind, device.client.platform_version, len(jax.devices())
    return sources.hexdigest(), versions, sorted(settings.items()), sorted(flags.items()), where


def _pickled(value: Any) -> bytes:
    """Returns a pickle that is the same for equal values, with functions by their names."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file)
    pickler.fast = True
    pickler.dump(value)
    return file.getvalue()


@contextlib.contextmanager
def _compiled_anew() -> Iterator[None]:
    """Keeps JAX's own cache out of a block: what came from there cannot be kept again."""
    name, enabled = (
        "jax_enable_compilation_cache",
        jax.config.values["jax_enable_compilation_cache"],
    )
    jax.config.update(name, False)  # type: ignore[no-untyped-call]
    compilation_cache.reset_cache()
    try:
        yield
    finally:
        jax.config.update(name, enabled)  # type: ignore[no-untyped-call]
        compilation_cache.reset_cache()


def _load(path: Path) -> Any:
    """Returns a program that was kept; None where there is none, or a damaged one."""
    try:
        body = zlib.decompress(path.read_bytes())  # it knows a damaged file
        os.utime(path)  # what is not used for longest goes first
        payload, in_tree, out_tree = pickle.loads(body)
        program = serialize_executable.deserialize_and_load(
            payload, in_tree, out_tree, execution_devices=jax.devices()[:1]
        )
    except Exception:  # of whatever class: the program is only made again
        return None
    return program


def _save(path: Path, program: jax.stages.Compiled) -> None:
    """Keeps a program, if its device and the disk admit that; it works in any case."""
    try:
        body = pickle.dumps(serialize_executable.serialize(program))
        files.write_bytes(path, zlib.compress(body))
    except Exception:
        return
