"""Sweeps over hyperparameters on disk: many pictures from one description, resumable.

A sweep is described by a TOML file or a mapping (`read_spec`, `make_spec`), and made by
`run_sweep`.
"""

from jaxstyle.sweep.run import Summary, run_sweep
from jaxstyle.sweep.spec import Spec, make_spec, read_spec

__all__ = ["Spec", "Summary", "make_spec", "read_spec", "run_sweep"]
