"""What a solver is: a pair of pure functions, and what they carry and report.

`init(objective, image)` evaluates the start. `step(objective, state)` moves the image and evaluates
it where it arrives, so a step reports the loss of the image that it returns. An `objective` maps an
image to `(total, terms)`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jax import Array

Objective = Callable[[Array], tuple[Array, Any]]


class State(NamedTuple):
    """What a solver carries from step to step.

    Attributes:
      image: `[H, W, 3]`, the variable.
      inner: the library's own state, with the loss and gradient at `image`.
    """

    image: Array
    inner: Any


class Info(NamedTuple):
    """What a solver reports of a step.

    Attributes:
      loss: scalar, the objective at the state's image.
      terms: the objective's terms at that image.
      evaluations: int32, the number of loss-and-gradient evaluations so far.
      finite: bool, whether every step so far had a finite loss; see `jaxstyle.optimize`.
    """

    loss: Array
    terms: Any
    evaluations: Array
    finite: Array


class Solver(NamedTuple):
    """A method of optimisation as two pure functions.

    Attributes:
      init: `(objective, image) -> (State, Info)`; takes one evaluation.
      step: `(objective, state) -> (State, Info)`.
      begin: `state -> (State, Info)`, which returns what `init` would have returned. The given
        state is reached by `init` with a constant objective and one `step`. With `begin`, the
        program of the steps also evaluates the start, and compilers need half the time. It requires
        that a step moves nothing where there is no gradient. None means that the start has a
        program of its own.
      made_by: the function and the arguments that make the same solver again; with them the solver
        can be pickled, and the copy shares the compiled programs. None pickles the functions.
    """

    init: Callable[[Objective, Array], tuple[State, Info]]
    step: Callable[[Objective, State], tuple[State, Info]]
    begin: Callable[[State], tuple[State, Info]] | None = None
    made_by: tuple[Callable[..., "Solver"], tuple[Any, ...]] | None = None

    def __reduce__(self) -> tuple[Callable[..., "Solver"], tuple[Any, ...]]:
        return self.made_by or (type(self), tuple(self))
