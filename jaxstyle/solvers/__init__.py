"""Solvers that change the pixels: L-BFGS, and those of jaxopt and optax, behind one protocol.

A solver is a pair of pure functions, `init` and `step`; see `Solver`. The functions that make
solvers are cached: equal settings give the same `Solver`, so its compiled programs are reused. No
other part of the package uses jaxopt or optax.
"""

from jaxstyle.solvers.base import Info, Objective, Solver, State
from jaxstyle.solvers.methods import (
    PRECONDITIONING,
    SOLVERS,
    SolverLike,
    adam,
    as_solver,
    from_optax,
    gradient_descent,
    lbfgs,
    lbfgs_zoom,
    make_solver,
    optax_lbfgs,
    set_learning_rate,
)
from jaxstyle.solvers.preconditioning import precondition

__all__ = [
    "PRECONDITIONING",
    "SOLVERS",
    "Info",
    "Objective",
    "Solver",
    "SolverLike",
    "State",
    "adam",
    "as_solver",
    "from_optax",
    "gradient_descent",
    "lbfgs",
    "lbfgs_zoom",
    "make_solver",
    "optax_lbfgs",
    "precondition",
    "set_learning_rate",
]
