"""The tracking interface: a tracker and a run that accept all data and record nothing.

The subclasses in `mlflow_tracker` and `mlflow_run` record in MLflow. Stages use only
the methods that are documented here, so they do not depend on MLflow.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.terminal import wrap

if TYPE_CHECKING:
    from PIL import Image

LEASE_TAG = "claim"  # the tag with the lease of a run
PARENT_TAG = "mlflow.parentRunId"
IDENTITY_TAG = "identity"  # of a training run: a digest of what determines its result

Params = Mapping[str, Any]  # hyperparameters; MLflow stores them as text
Tags = Mapping[str, str]
Metrics = Mapping[str, float | int]


def database_path(folder: Path) -> Path:
    """Return the path of the database of the store in a folder."""
    return folder / "mlflow.db"


def sqlite_uri(database: Path) -> str:
    """Return the address of an SQLite file, with % and ? escaped.

    With a driver in the address, MLflow does not create a folder with %3F in its name.
    """
    quoted = str(database).replace("%", "%25").replace("?", "%3F")
    driver = "+pysqlite" if "%" in quoted else ""
    return f"sqlite{driver}:///{quoted}"


@dataclass(frozen=True)
class RecordedRun:
    """A run in the store."""

    run_id: str
    status: str  # RUNNING, FINISHED, FAILED or KILLED
    tags: Tags
    folder: Path  # its artifacts


class Run:
    """An open run; each method returns when the data is stored.

    This class records nothing; `MlflowRun` overrides the methods that record.
    """

    id: str | None = None  # of the run in MLflow
    label = "the training"  # name and id of the run, for messages
    folder: Path | None = None  # its artifacts

    def log_metrics(
        self, metrics: Metrics, *, step: int, time: int | None = None
    ) -> None:
        """Record the metrics of an epoch.

        `time` is in milliseconds since 1970; None is now. A value that is recorded
        twice with the same time is stored once.
        """
        now = time_ns() // 1_000_000
        self.log_history([(step, now if time is None else time, metrics)])

    def log_history(self, history: Sequence[tuple[int, int, Metrics]]) -> None:
        """Record the metrics of many epochs at once: step, time and metrics of each.

        This takes less than a tenth of the time of a call of `log_metrics` for each.
        """

    def log_image(self, name: str, image: "Image.Image", *, step: int) -> None:
        """Record an image of an epoch, which replaces an earlier one."""

    def log_text(self, name: str, text: str) -> None:
        """Record text as an artifact with this name."""

    def log_files(self, folder: str, paths: Iterable[Path]) -> None:
        """Record files in a folder of the run's artifacts."""

    def log_model(self, network: Path, exported: Path | None = None) -> None:
        """Record the network as an MLflow model, or add `exported` to the model.

        The model maps pixels (n, 28, 28) in [0, 1] to probabilities (n, 10). `exported`
        is the same as a torch.export program, for `mlflow.pytorch.load_model`.
        """

    def log_dataset(
        self, name: str, sha256: str, source: str, counts: Mapping[str, int], use: str
    ) -> None:
        """Record a data set that the run reads from `source`.

        `counts` has the number of images in each part; `use` is "training" or
        "evaluation".
        """

    def set_tags(self, tags: Tags) -> None:
        """Set tags, by which runs can be searched."""

    def describe(self, text: str, results: Mapping[str, str] | None = None) -> None:
        """Set the description on the run's page, in Markdown; see describe_results."""

    def describe_results(self, results: Mapping[str, str]) -> None:
        """Add entries to the description, or replace those with the same titles."""

    def link(self, text: str, page: str) -> str:
        """Return a Markdown link to a page of the run.

        `page` is "model-metrics", or "artifacts/" and the name of an artifact.
        """
        return text

    @contextmanager
    def child(
        self,
        *,
        name: str,
        params: Params,
        tags: Tags,
        start: int | None = None,
        end: int | None = None,
        error: str = "",
    ) -> "Iterator[Run]":
        """Record a training of this sweep that has ended, as a child of this run.

        It lasted from `start` to `end`, in milliseconds since 1970; None is now. When
        the block ends, the child becomes FINISHED, or FAILED if there is an error. If
        the block fails or this process is killed inside it,
        `delete_unfinished_children` removes the child.
        """
        yield Run()

    def reopen_child(self, run_id: str) -> "Run":
        """Return a child to which more can be recorded; it stays finished."""
        return Run()

    def delete_unfinished_children(self, tags: Tags) -> None:
        """Delete the children with these tags that are incomplete; failed ones remain.

        Only the process that records the children may call this.
        """

    def children(self) -> list[RecordedRun]:
        """Return the recorded children, newest first; 0.2 s for 5,000 of them."""
        return []

    def compare_children(self, params: Sequence[str]) -> str:
        """Return the address, within MLflow's UI, of charts of the children.

        They plot the validation accuracy against the first of `params`, and beside all
        of them as parallel coordinates.
        """
        return ""

    def viewing_hint(self) -> str:
        """Return lines with the run, and the command that shows it."""
        if self.id is None:
            return "run    not recorded (tracking=none)\n"
        run = wrap(self.label, indent=7, start="run    ")
        return f"{run}\nview   python -m pipeline.ui\n"


class Tracker:
    """Opens runs; like `Run`, this class records nothing.

    A lease is a folder below the store, such as `checkpoints/<digest>/<id>`, in which a
    process holds a lock while it lives. A run stores its lease: it shows whether the
    run still has an owner, and lets the next process resume the run.
    """

    @contextmanager
    def start_run(
        self, *, name: str, params: Params, tags: Tags, lease: str
    ) -> Iterator[Run]:
        """Open a run, or resume the one with this lease; close it when the block ends.

        Its final status is FINISHED, FAILED after an exception, or KILLED after an
        interrupt. Tags with its provenance are added.

        Raises:
            OSError: If the store cannot be written to; the message is one line.
        """
        yield Run()

    @contextmanager
    def reopen_run(
        self, *, run_id: str | None, weights_sha256: str | None
    ) -> Iterator[Run]:
        """Add to the run that trained a network; its status and end time do not change.

        The run is found by the hash of its weights. If there are several such runs,
        `run_id` is used, or else the newest. If there is none, as in a fresh clone, a
        run is created and a message is printed. A sweep has no weights: it is found by
        its id.
        """
        yield Run()

    def finished_run(self, *, lease: str) -> Run | None:
        """Return the run with this lease if it is finished.

        If there is a server, it receives what is missing from its copy of the run.
        """
        return None

    def finished_trainings(self, prefix: str) -> dict[str, RecordedRun]:
        """Return the newest finished run of each identity that begins with `prefix`.

        The tag `identity` of a training run names everything that determines its
        result. The runs of all experiments are searched.
        """
        return {}


@contextmanager
def closed_with_status(close: Callable[[str, str], None]) -> Iterator[None]:
    """When the block ends, call `close` with the final status of a run and its error.

    See `Tracker.start_run`; the error is "" unless the status is FAILED.
    """
    status, error = "KILLED", ""
    try:
        yield
        status = "FINISHED"
    except Exception as exception:
        status, error = "FAILED", f"{type(exception).__name__}: {exception}"
        raise
    finally:
        close(status, error)


def lease_lock(store: Path) -> AbstractContextManager[None]:
    """Lock the store while leases are taken, checked or removed."""
    waiting = "waiting for another training run to start or end"
    return files.lock(store / "checkpoints" / ".lock", waiting=waiting)
