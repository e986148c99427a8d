"""The methods of an open run, with which other packages record data.

Runs in the main process and in the process that records.

Other packages use only the methods that are documented here, so they do not depend on
MLflow. The methods of these classes record nothing, for tracking=none, and subclasses
override them. A `Tracker` opens and closes runs. `RecordedRun`, which is not one of
these classes, describes a run that is read from the store.

    class                defined in        a run that is
    OpenRun              here              open in any process
    ├─ HelperRun         recorder          recorded by the recording process
    └─ Run               here              open in this process
       └─ MlflowRun      mlflow_run        recorded with MLflow
          ├─ ParentRun   mlflow_children   opened by a tracker
          └─ ChildRun    mlflow_children   a new child of a sweep
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Concatenate, NamedTuple, ParamSpec

from PIL import Image

from pipeline.base.tags import Status
from pipeline.core.clock import now
from pipeline.tracking.messages import viewing_hint

Params = Mapping[str, Any]  # see `base.params`; MLflow stores them as text
Tags = Mapping[str, str]
Metrics = Mapping[str, float | int]
Arguments = ParamSpec("Arguments")


def final_status(error: BaseException) -> tuple[Status, str | None]:
    """Return the status of a run after an error, and the error; None if KILLED."""
    if isinstance(error, Exception):
        return Status.FAILED, f"{type(error).__name__}: {error}"
    return Status.KILLED, None


@dataclass(frozen=True)
class RunStart:
    """The data that is recorded when a run is opened."""

    name: str
    params: Params
    tags: Tags  # including the `provenance.tags` of the process that trains
    diff: str = ""  # the diff of the `CodeState` of this process
    time: int = field(default_factory=now)  # in milliseconds since 1970
    resume: str | None = None  # the run that is opened again; None for a new run


class EpochPoint(NamedTuple):
    """The metrics of an epoch, with the step and the time that MLflow stores.

    An `Epoch` also has the network's tensors. A `MetricPoint` is one of the values, as
    read from the database.
    """

    step: int  # the number of the epoch
    time: int  # in milliseconds since 1970
    metrics: Metrics


class ModelData(NamedTuple):
    """The data of an MLflow model: a network, and metrics that its run already has."""

    network: Path  # the file of the network
    exported: Path  # the same network as a program, for `mlflow.pytorch.load_model`
    points: Sequence[EpochPoint]
    dataset: str  # the name of the data set with which the metrics were measured
    data_sha256: str  # the hash of this data set


class OpenRun:
    """An open run in this or another process; `submit` passes functions to it."""

    # Whether the server has a complete copy, when the run is closed; None: no server.
    copied: bool | None = None
    failure: str | None = None  # see `fail`

    @property
    def run_id(self) -> str | None:
        """The id of the run in MLflow; None if the run is not recorded.

        Callers that must know whether runs are recorded use `is_recorded` of `cfg`.
        """
        return None

    @property
    def label(self) -> str:
        """Name and id of the run, for messages."""
        return "the training run"

    @property
    def artifacts(self) -> Path | None:
        """The folder of the artifacts; None if the run is not recorded."""
        return None

    def fail(self, reason: str) -> None:
        """Mark the run as FAILED if the block of `Tracker.start_run` ends normally."""
        self.failure = reason

    def submit(
        self,
        function: "Callable[Concatenate[Run, Arguments], None]",
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> None:
        """Call function(run, ...) in the process that records the run, perhaps later.

        Calls are made in their order. The function must be defined in a module. It
        calls methods of its argument `run`.

        Raises:
            UserError, OSError: If the run, or data of an earlier call, is lost.
        """

    def wait(self) -> None:
        """Wait until all calls of `submit` are made; raise their first error."""

    def close(self, status: Status, error: str | None) -> str | None:
        """Close the run, record its error, if any, and return its id, if any.

        A tracker calls this method. It prints a message if the run cannot be closed.

        Raises:
            UserError, OSError: If the run cannot be marked FINISHED.
        """
        return None

    def viewing_hint(self) -> str:
        """Return lines with the run, and the command that shows it."""
        if self.run_id is None:
            return "run    not recorded (tracking=none)\n"
        return viewing_hint(self.label)


class Run(OpenRun):
    """An open run of this process; each method returns when the data is stored.

    The run can be a sweep, whose training runs are its children.

    Callers can call the methods directly. `submit` is for functions that also record a
    run of another process, such as the functions of `training/log.py`.
    """

    def log_metrics(
        self, metrics: Metrics, *, step: int, time: int | None = None
    ) -> None:
        """Record the metrics of an epoch.

        `time` is in milliseconds since 1970; None means now. A value that is recorded
        twice with the same time is stored once.
        """
        time = now() if time is None else time
        self.log_points([EpochPoint(step, time, metrics)])

    def log_points(self, points: Sequence[EpochPoint]) -> None:
        """Record the metrics of many epochs at once.

        One call takes less than a tenth of the time of a `log_metrics` call per epoch.
        """

    def log_image(self, name: str, image: Image.Image, *, step: int) -> None:
        """Record an image of an epoch; it replaces an earlier image of this epoch."""

    def log_text(self, name: str, text: str) -> None:
        """Record text as an artifact with this name.

        Surrogates, which stand for bytes that are not UTF-8 (as in a patch), are
        written as the original bytes.
        """

    def log_files(self, folder: str, paths: Iterable[Path]) -> None:
        """Record files in a folder of the run's artifacts."""

    def log_model(self, model: ModelData) -> None:
        """Record a network as an MLflow model, or replace its files.

        The model maps pixels (n, 28, 28) in [0, 1] to probabilities (n, 10).
        """

    def log_dataset(
        self, name: str, sha256: str, source: str, counts: Mapping[str, int], use: str
    ) -> None:
        """Record a data set that the run reads from `source`.

        `counts` is the number of images in each part; `use` is "training" or
        "evaluation".
        """

    def set_tags(self, tags: Tags) -> None:
        """Set tags, which can be used to search for runs."""

    def describe(self, text: str, links: Mapping[str, str]) -> None:
        """Set the text and links of the description, which is Markdown.

        The description is a line of links, the text, and a list of results. The run's
        page shows the first lines, and the rest on demand. See `add_links`.
        """

    def add_links(self, links: Mapping[str, str]) -> None:
        """Add links to the description, or replace the links with the same keys."""

    def add_results(self, results: Mapping[str, str]) -> None:
        """Add results to the description, or replace results with the same titles."""

    def link(self, text: str, page: str) -> str:
        """Return a Markdown link to a page of the run.

        `page` is "model-metrics", or "artifacts/" and the name of an artifact.
        """
        return text

    def child(
        self, start: RunStart, *, end: int | None = None
    ) -> "AbstractContextManager[Run]":
        """Record a training run of this sweep, which has ended, as a child of this run.

        `end` is in milliseconds since 1970; None means now. When the block ends, the
        child becomes FINISHED, or FAILED after `OpenRun.fail`. If the block fails, or
        if this process is killed in it, `delete_unfinished_children` removes the child.
        """
        return nullcontext(Run())

    def reopen_child(self, run_id: str) -> "Run":
        """Return a finished child to record more data; its status does not change."""
        return Run()

    def fail_child(self, run_id: str, error: str) -> None:
        """Mark a finished child whose files are damaged as FAILED."""

    def delete_unfinished_children(self) -> None:
        """Delete the incomplete children; keep the failed children."""

    def compare_children(self, params: Sequence[str]) -> dict[str, str]:
        """Return Markdown links, by name, to pages with the children, best first.

        The pages are a list with columns for the varied `params`, and two charts. One
        chart plots the validation accuracy against the first of `params`. The other
        chart shows all `params` as parallel coordinates.
        """
        return {}
