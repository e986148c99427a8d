"""The interface of tracking: what a stage can record, and where it records it.

`mlflow_tracker` records in MLflow and `null` records nothing. A stage uses these
protocols only, so it does not need to know which of the two it has.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from PIL import Image


@dataclass(frozen=True)
class ChildRun:
    """The run of one training of a sweep."""

    run_id: str
    setting: str
    status: str  # MLflow's: RUNNING, FINISHED, FAILED or KILLED
    folder: Path  # its artifacts


@dataclass(frozen=True)
class RecordedRun:
    """The run of a training, and the files that the training recorded."""

    run_id: str
    name: str
    tags: Mapping[str, str]
    folder: Path  # its artifacts


@runtime_checkable
class Run(Protocol):
    """An open run. Every method returns after the data is stored."""

    @property
    def id(self) -> str | None:
        """The id of the run in MLflow; None if nothing is recorded."""

    @property
    def label(self) -> str:
        """The name and the id of the run, for messages."""

    def log_metrics(
        self, metrics: Mapping[str, float], *, step: int, time: int
    ) -> None:
        """Record metrics of an epoch. One call per epoch is cheap, one per value not.

        Args:
            metrics: The values, by name.
            step: The epoch.
            time: When they were measured, in milliseconds since 1970. A value that is
                recorded twice with the same time is stored once.
        """

    def log_image(self, name: str, image: "Image.Image", *, step: int) -> None:
        """Record an image of an epoch, unless the run already has it."""

    def log_text(self, name: str, text: str) -> None:
        """Record text as an artifact with this name."""

    def log_files(self, folder: str, paths: Iterable[Path]) -> None:
        """Record files in a folder of the run's artifacts."""

    def log_table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record a table, which replaces an earlier one with the same name.

        Args:
            name: The name of the artifact, which ends in .json.
            rows: At least one; all have the same keys. Values may be PIL images.
        """

    def log_model(self, network: "torch.nn.Module", pixels: "torch.Tensor") -> None:
        """Record the network as an MLflow model, unless the run already has it.

        The model maps pixels in [0, 1] to probabilities.

        Args:
            network: Maps pixels (n, 28, 28) to logits (n, 10).
            pixels: An example with two images. A program exported from one image
                accepts only one image.
        """

    def log_dataset(
        self,
        name: str,
        *,
        sha256: str,
        source: str,
        counts: Mapping[str, int],
        use: str,
    ) -> None:
        """Record a data set that the run reads.

        Args:
            name: Its name.
            sha256: The hash of its bytes.
            source: Where it was read from.
            counts: The number of images in each of its parts.
            use: "training" or "evaluation".
        """

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, by which runs can be searched."""

    def describe(self, text: str) -> None:
        """Set the description on the run's page, in Markdown."""

    def child_tags(self) -> dict[str, str]:
        """Return the tags that make another run a child of this run."""

    def children(self) -> list[ChildRun] | None:
        """Return the trainings of this sweep, newest first; None if not recorded."""

    def reconcile(
        self,
        setting: str,
        attempts: Sequence[ChildRun],
        *,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        error: str,
    ) -> None:
        """Leave one child run for a setting of this sweep: finished or failed.

        Failed attempts are deleted when another attempt succeeded. A setting that
        failed before it had a run gets one.

        Args:
            setting: The name of the setting, which its run has as tag `setting`.
            attempts: The children of this sweep with this setting, newest first.
            params: The hyperparameters.
            tags: The tags of a run that has to be created.
            error: Why it failed; empty if it succeeded.
        """

    def comparison_link(self) -> str:
        """Return the link, within MLflow's UI, that compares the children."""

    def viewing_hint(self) -> str:
        """Return lines that say how to view the run."""


@runtime_checkable
class Tracker(Protocol):
    """Where runs are recorded.

    A lease is a folder below the store, such as `checkpoints/<digest>/<id>`. A process
    holds a lock in it as long as it lives. A run stores its lease, so that the next
    process can find out whether the run still has an owner, and can resume it.
    """

    def start_run(
        self,
        *,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        lease: str,
    ) -> AbstractContextManager[Run]:
        """Open a run, and close it as FINISHED, FAILED or KILLED.

        Args:
            name: The name that the UI displays.
            params: The hyperparameters, few and short.
            tags: Tags to search by, in addition to those about the origin of the run.
            lease: Its lease. A run that was opened before with this lease is resumed.

        Raises:
            ValueError: If the store cannot be opened.
            OSError: If the store cannot be written to.
        """

    def reopen_run(
        self, *, run_id: str | None, weights_sha256: str
    ) -> AbstractContextManager[Run]:
        """Add to the run that trained a network; its status and end time do not change.

        If the store does not have the run, as in a fresh clone, a run with the same
        weights is used. If there is none, one is created, and a message says so.

        Args:
            run_id: The run that trained the network; None if it was not recorded.
            weights_sha256: The sha256 of the network's file.
        """

    def finished_run(self, *, lease: str) -> Run | None:
        """Return the run with this lease if it is finished."""

    def leases(self, prefix: str) -> list[str]:
        """Return the leases of runs that begin with `prefix`, newest run first."""
