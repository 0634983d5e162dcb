"""Solvers that change the pixels: jaxopt's and optax's, behind one protocol.

A solver is a pair of pure functions, `init` and `step`; see `Solver`. Factories are cached: equal
settings give the same `Solver`, which therefore hits the jit cache. This is the only room of the
package that names jaxopt, or optax for pixels.
"""

from jaxstyle.solvers.base import Info, Objective, Solver, State
from jaxstyle.solvers.methods import (
    PRECONDITIONING,
    SOLVERS,
    adam,
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
    "State",
    "adam",
    "from_optax",
    "gradient_descent",
    "lbfgs",
    "lbfgs_zoom",
    "make_solver",
    "optax_lbfgs",
    "precondition",
    "set_learning_rate",
]
