"""The tracking interface, and the implementation that records nothing.

`mlflow_tracker` and `mlflow_run` record in MLflow. A stage uses only the protocols, so
it does not depend on the implementation.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pipeline import files

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor, nn


@dataclass(frozen=True)
class RecordedRun:
    """A run in the store."""

    run_id: str
    status: str  # RUNNING, FINISHED, FAILED or KILLED
    tags: Mapping[str, str]
    folder: Path  # its artifacts


@runtime_checkable
class Run(Protocol):
    """An open run; each method returns when the data is stored."""

    @property
    def id(self) -> str | None:
        """The id of the run in MLflow; None if nothing is recorded."""

    @property
    def label(self) -> str:
        """The name and the id of the run, for messages."""

    def log_metrics(
        self,
        metrics: Mapping[str, float | int],
        *,
        step: int,
        time: int | None = None,
    ) -> None:
        """Record the metrics of an epoch.

        `time` is in milliseconds since 1970; None is now. A value that is recorded
        twice with the same time is stored once.
        """

    def log_image(self, name: str, image: "Image.Image", *, step: int) -> None:
        """Record an image of an epoch, unless the run already has it."""

    def log_text(self, name: str, text: str) -> None:
        """Record text as an artifact with this name."""

    def log_files(self, folder: str, paths: Iterable[Path]) -> None:
        """Record files in a folder of the run's artifacts."""

    def log_table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record a table, which replaces an earlier one with this name.

        `name` ends in .json. There is at least one row; values can be PIL images.
        """

    def log_model(self, network: "nn.Module", pixels: "Tensor") -> None:
        """Record the network as an MLflow model, unless the run already has it.

        The model maps pixels (n, 28, 28) in [0, 1] to probabilities (n, 10). `pixels`
        is an example of two images: a program exported from one accepts only one.
        """

    def log_dataset(
        self, name: str, sha256: str, source: str, counts: Mapping[str, int], use: str
    ) -> None:
        """Record a data set that the run reads from `source`.

        `counts` has the number of images in each part; `use` is "training" or
        "evaluation".
        """

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, by which runs can be searched."""

    def describe(self, text: str) -> None:
        """Set the description on the run's page, in Markdown."""

    def child_tags(self) -> dict[str, str]:
        """Return the tags that make another run a child of this run."""

    def children(self) -> list[RecordedRun]:
        """Return the recorded training runs of this sweep, newest first."""

    def reconcile(
        self,
        setting: str,
        attempts: Sequence[RecordedRun],
        *,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        error: str,
    ) -> None:
        """Ensure that a setting of this sweep has one child run, finished or failed.

        Args:
            setting: The name of the setting, which its run has as tag `setting`.
            attempts: The children with this setting, newest first. Failed ones are
                deleted if another attempt succeeded.
            params: The hyperparameters.
            tags: The tags of the run that is created if there was no attempt.
            error: Why the setting failed; empty if it succeeded.
        """

    def comparison_link(self) -> str:
        """Return the link, within MLflow's UI, that compares the children."""

    def viewing_hint(self) -> str:
        """Return lines that say how to view the run."""


@runtime_checkable
class Tracker(Protocol):
    """Where runs are recorded.

    A lease is a folder below the store, such as `checkpoints/<digest>/<id>`, in which a
    process holds a lock while it lives. A run stores its lease: it shows whether the
    run still has an owner, and lets the next process resume the run.
    """

    def start_run(
        self,
        *,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        lease: str,
    ) -> AbstractContextManager[Run]:
        """Open a run, or resume the one with this lease; close it when the block ends.

        Its final status is FINISHED, FAILED after an exception, or KILLED after an
        interrupt. Tags with its provenance are added.

        Raises:
            OSError: If the store cannot be written to; the message is one line.
        """

    def reopen_run(
        self, *, run_id: str | None, weights_sha256: str
    ) -> AbstractContextManager[Run]:
        """Add to the run that trained a network; its status and end time do not change.

        The run is found by its weights; of several, `run_id` is used, or the newest. If
        there is none, as in a fresh clone, one is created, and a message says so.
        """

    def finished_run(self, *, lease: str) -> Run | None:
        """Return the run with this lease if it is finished."""

    def leases(self, prefix: str) -> list[str]:
        """Return the leases that begin with `prefix`, of the newest run first."""


def lease_lock(store: Path) -> AbstractContextManager[None]:
    """Lock the store while leases are taken, checked or removed."""
    waiting = "waiting for another training run to start or end"
    return files.lock(store / "checkpoints" / ".lock", waiting=waiting)


class NullRun:
    """A run that accepts all data and records nothing."""

    id = None
    label = "the training"

    def _discard(self, *values: object, **options: object) -> None:
        """Do nothing."""

    log_metrics = log_image = log_text = log_files = log_table = _discard
    log_model = log_dataset = set_tags = describe = reconcile = _discard

    def child_tags(self) -> dict[str, str]:
        """Return no tags."""
        return {}

    def children(self) -> list[RecordedRun]:
        """Return no runs."""
        return []

    def comparison_link(self) -> str:
        """Return an empty link."""
        return ""

    def viewing_hint(self) -> str:
        """Say that nothing was recorded."""
        return "run    not recorded (tracking=none)\n"


class NullTracker:
    """A tracker without a store."""

    @contextmanager
    def start_run(self, **options: object) -> Iterator[NullRun]:
        """Open a run that records nothing."""
        yield NullRun()

    reopen_run = start_run

    def finished_run(self, *, lease: str) -> None:
        """Return None, because no run is recorded."""

    def leases(self, prefix: str) -> list[str]:
        """Return no leases."""
        return []
