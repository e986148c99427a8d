"""Trains, evaluates, explains and exports a small fully connected network for MNIST.

Training runs and their results are recorded in MLflow.
"""

from typing import Any

from pipeline.core import UserError as UserError  # `as` exports the name

MAX_PROBLEMS = 20  # problems in a message


class ConfigError(UserError):
    """Invalid settings; one error contains all problems that were found."""

    def __init__(self, *problems: str) -> None:
        """Set the problems, each a line that a command prints below a title, once."""
        self.problems = [*dict.fromkeys(problems)]
        super().__init__(*self.problems)

    def __str__(self) -> str:
        """Return a message with a line for each of the first problems."""
        more = len(self.problems) - MAX_PROBLEMS
        rest = [f"and {more:,} more"] if more > 0 else []
        return "\n".join([*self.problems[:MAX_PROBLEMS], *rest])


class PartlyFailed(UserError):
    """Some parts of a command failed; `result` is the result of the other parts."""

    def __init__(self, message: str, result: Any = None) -> None:  # noqa: ANN401
        """Set the message and the result; pickle sets the result later."""
        super().__init__(message)
        self.result = result
