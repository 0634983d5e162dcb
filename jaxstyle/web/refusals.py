"""What is refused: an HTTP status, and one line that says what would be right."""


class Refusal(Exception):
    """A request that cannot be answered as it is.

    Attributes:
      status: of HTTP.
      message: one line.
    """

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status, self.message = status, message


def not_found() -> Refusal:
    """Returns what is said of everything that is not there, or not this visitor's."""
    return Refusal(404, "there is nothing of that name here")
