"""Snapshots: an optimisation kept on disk, so that a killed run can go on."""

import json
import math
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from jaxstyle._common import files
from jaxstyle._common.reading import Bounded, open_regular
from jaxstyle._common.text import printable
from jaxstyle.errors import FileFormatError, UsageError
from jaxstyle.optimization.descent import Progress
from jaxstyle.pipeline.method import Forms

Rows = list[dict[str, float]]

# A row of loss terms takes some hundred bytes.
_MAX_NOTES = 2**26
# What a file may have beside its arrays: the notes, the heads of the arrays and their list.
_MAX_REST = _MAX_NOTES + 2**20
_MAX_NAMED = 5  # settings that a message names


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
    path: Path, forms: Forms, settings: dict[str, Any], num_steps: int
) -> tuple[Progress, Rows]:
    """Reads what `save_snapshot` wrote.

    Args:
      path: the file.
      forms: of the state and of its info, by the steps done. Those after the last step are the
        largest.
      settings: what makes the run; those of the file must be the same.
      num_steps: how many steps the whole run has.

    Raises:
      FileFormatError: if the file is damaged, no snapshot, or one that does not fit the run.
      UsageError: if other settings made it.
    """
    largest = jax.tree.leaves(forms(num_steps))
    most = _MAX_REST + sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in largest)
    try:
        with open_regular(path, most) as file, zipfile.ZipFile(Bounded(file, most)) as archive:
            notes = json.loads(_read(archive, 0, None, np.dtype(np.uint8)).tobytes())
            step, rows, kept = notes["step"], notes["rows"], notes["settings"]
            changed = _changed(kept, settings)
            if not changed:
                _check_progress(step, rows, num_steps)
                leaves, structure = jax.tree.flatten(forms(step))
                arrays = [_read(archive, i, a.shape, a.dtype) for i, a in enumerate(leaves, 1)]
    except FileFormatError:
        raise
    # zipfile, json and NumPy raise a dozen classes for damaged files, RecursionError among them.
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise FileFormatError(
            f"{path}: no snapshot of jaxstyle's that fits this run; remove it to begin again"
        ) from error
    if changed:
        raise UsageError(
            f"{path}: was begun with other settings ({', '.join(changed)}); "
            "give the same ones, or remove it to begin again"
        )
    # Copies: JAX may otherwise compute on NumPy's memory, which is aligned by chance.
    state, info = jax.tree.unflatten(structure, [jnp.array(array) for array in arrays])
    return Progress(step, state, jax.tree.map(lambda leaf: leaf[None], info)), rows


def _read(
    archive: zipfile.ZipFile, index: int, shape: tuple[int, ...] | None, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Returns an array of the archive if it is as expected; None is a vector of any length.

    NumPy would allocate whatever the head of the array says.
    """
    info = archive.getinfo(f"arr_{index}.npy")
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version != (1, 0) or info.compress_type:
            raise ValueError("not as NumPy's savez writes it")
        found, in_columns, kind = np.lib.format.read_array_header_1_0(member)
        rest = info.file_size - member.tell()
        expected = (rest // dtype.itemsize,) if shape is None else tuple(shape)
        if (found, kind) != (expected, dtype) or rest != math.prod(expected) * dtype.itemsize:
            raise ValueError(f"an array of another form than {expected} {dtype}")
        data = member.read(rest)
    return np.frombuffer(data, dtype).reshape(expected, order="F" if in_columns else "C")


def _changed(kept: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """Returns the names of the settings that are not those of the file."""
    wanted = json.loads(json.dumps(settings))
    names = sorted(name for name in {*kept, *wanted} if kept.get(name) != wanted.get(name))
    return [printable(name)[:80] for name in names[:_MAX_NAMED]]


def _check_progress(step: Any, rows: Any, num_steps: int) -> None:
    if type(step) is not int or not 0 <= step <= num_steps or len(rows) != step + 1:
        raise ValueError(f"not a step of {num_steps}")
    for row in rows:
        if row.keys() != rows[0].keys() or not all(type(v) in (int, float) for v in row.values()):
            raise ValueError("a row that holds no loss terms")
