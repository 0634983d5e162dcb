"""Snapshots: an optimisation kept on disk, so that a killed run can go on."""

import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle._common import files
from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.optimization.descent import Progress
from jaxstyle.solvers import Info, State

Rows = list[dict[str, float]]


def save_snapshot(path: Path, progress: Progress, rows: Rows, settings: dict[str, Any]) -> None:
    """Writes all that the rest of a run depends on. A kill leaves the old file or the new one.

    Args:
      path: the file.
      progress: where the run is.
      rows: its loss terms so far.
      settings: what made it.
    """
    last = jax.tree.map(lambda leaf: leaf[-1], progress.info)
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves((progress.state, last))]
    notes = json.dumps({"step": progress.step, "rows": rows, "settings": settings})
    with files.atomic_write(path) as partial, partial.open("wb") as file:
        np.savez(file, np.frombuffer(notes.encode(), np.uint8), *leaves)


def load_snapshot(
    path: Path, like: tuple[State, Info], settings: dict[str, Any]
) -> tuple[Progress, Rows]:
    """Reads what `save_snapshot` wrote.

    Args:
      path: the file.
      like: the forms of the state and of its info; see `jaxstyle.optimization.step.start_forms`.
      settings: what makes the run; those of the file must be the same.

    Raises:
      FileFormatError: if the file is damaged or no snapshot.
      UsageError: if other settings made it.
    """
    try:
        with path.open("rb") as file, np.load(file) as archive:
            arrays = [archive[f"arr_{i}"] for i in range(len(archive.files))]
        notes = json.loads(arrays[0].tobytes())
        kept, step, rows = notes["settings"], notes["step"], notes["rows"]
    except (OSError, ValueError, LookupError, EOFError, TypeError, BadZipFile) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise FileFormatError(
            f"{path}: no snapshot of jaxstyle's; remove it to begin again"
        ) from None
    wanted = json.loads(json.dumps(settings))
    changed = sorted(
        name for name in {*kept, *wanted} if kept.get(name) != wanted.get(name)
    )  # fmt: skip
    if changed:
        raise UsageError(
            f"{path}: was begun with other settings ({', '.join(changed)}); "
            "give the same ones, or remove it to begin again"
        )
    leaves, structure = jax.tree.flatten(like)
    if [(a.shape, a.dtype) for a in arrays[1:]] != [(b.shape, b.dtype) for b in leaves]:
        raise FileFormatError(f"{path}: does not fit this run; remove it to begin again")
    # Copies: JAX may otherwise compute on NumPy's memory, which is aligned by chance.
    state, info = jax.tree.unflatten(structure, [jnp.array(array) for array in arrays[1:]])
    return Progress(step, state, jax.tree.map(lambda leaf: leaf[None], info)), rows
