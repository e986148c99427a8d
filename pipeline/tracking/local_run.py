"""A run that this process has opened, which can have children: training runs."""

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager

from pipeline.tracking.interface import Params, Run, Tags


class LocalRun(Run):
    """A run that a `LocalTracker` has opened; only a sweep gives it children."""

    @abstractmethod
    def child(
        self,
        *,
        name: str,
        params: Params,
        tags: Tags,
        start: int | None = None,
        end: int | None = None,
        error: str = "",
    ) -> AbstractContextManager[Run]:
        """Record a finished training run of this sweep as a child of this run.

        Its tags contain its provenance. It lasted from `start` to `end`, in
        milliseconds since 1970; None is now. When the block ends, the child becomes
        FINISHED, or FAILED if there is an error. If the block fails or this process is
        killed inside it, `delete_unfinished_children` removes the child.
        """

    @abstractmethod
    def reopen_child(self, run_id: str) -> Run:
        """Return a child to which more can be recorded; it stays finished."""

    @abstractmethod
    def delete_unfinished_children(self) -> None:
        """Delete the incomplete children; failed ones remain."""

    @abstractmethod
    def compare_children(self, params: Sequence[str]) -> dict[str, str]:
        """Return Markdown links to pages with the children, best first, by name.

        These are a list with columns for `params`, which are swept, and two charts. One
        plots the validation accuracy against the first of `params`; the other shows all
        of them as parallel coordinates.
        """
