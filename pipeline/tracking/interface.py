"""The tracking interface: runs, and trackers that open and close them.

The classes are abstract: those in `mlflow_run` and `mlflow_tracker` record in MLflow,
those in `remote` in a companion process, and those in `null` nowhere. All other
packages use only the methods that are documented here, so they do not depend on MLflow.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from time import time_ns
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from PIL import Image

from pipeline.terminal import wrap
from pipeline.tracking.mirror import Mirror
from pipeline.tracking.provenance import process_tags
from pipeline.tracking.tags import Status

Params = Mapping[str, Any]  # hyperparameters; MLflow stores them as text
Tags = Mapping[str, str]
Metrics = Mapping[str, float | int]
Points = Sequence[tuple[int, int, Metrics]]  # step, time in ms since 1970, metrics
Arguments = ParamSpec("Arguments")


class OpenRun(ABC):
    """An open run in this or another process; `submit` passes functions to it."""

    # When it is closed: whether the copy on the server is complete; None without one.
    copied: bool | None = None

    @property
    @abstractmethod
    def id(self) -> str | None:
        """The id of the run in MLflow; None if it is not recorded."""

    @property
    @abstractmethod
    def label(self) -> str:
        """Name and id of the run, for messages."""

    @property
    @abstractmethod
    def artifacts(self) -> Path | None:
        """The folder of its artifacts; None if it is not recorded."""

    @abstractmethod
    def submit(
        self,
        function: "Callable[Concatenate[Run, Arguments], None]",
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> None:
        """Call function(run, ...) where the run is recorded, perhaps later.

        Calls are made in their order. The function is one of a module and calls methods
        of the run that it gets.

        Raises:
            UserError, OSError: If the run or what an earlier call recorded is lost.
        """

    @abstractmethod
    def wait(self) -> None:
        """Wait until all calls are made; raise the first error of them."""

    def viewing_hint(self) -> str:
        """Return lines with the run, and the command that shows it."""
        if self.id is None:
            return "run    not recorded (tracking=none)\n"
        return viewing_hint(self.label)


def viewing_hint(label: str) -> str:
    """Return lines with a run and the command that shows it; see `OpenRun.label`."""
    run = wrap(label, indent=7, start="run    ")
    return f"{run}\nview   python -m pipeline.ui\n"


class Run(OpenRun):
    """An open run of this process; each method returns when the data is stored."""

    def wait(self) -> None:
        """Return at once, because all calls are made."""

    def log_metrics(
        self, metrics: Metrics, *, step: int, time: int | None = None
    ) -> None:
        """Record the metrics of an epoch.

        `time` is in milliseconds since 1970; None is now. A value that is recorded
        twice with the same time is stored once.
        """
        now = time_ns() // 1_000_000
        self.log_points([(step, now if time is None else time, metrics)])

    @abstractmethod
    def log_points(self, points: Points) -> None:
        """Record the metrics of many epochs at once: step, time and metrics of each.

        This takes less than a tenth of the time of a call of `log_metrics` for each.
        """

    @abstractmethod
    def log_image(self, name: str, image: Image.Image, *, step: int) -> None:
        """Record an image of an epoch, which replaces an earlier one."""

    @abstractmethod
    def log_text(self, name: str, text: str) -> None:
        """Record text as an artifact with this name."""

    @abstractmethod
    def log_files(self, folder: str, paths: Iterable[Path]) -> None:
        """Record files in a folder of the run's artifacts."""

    @abstractmethod
    def log_model(
        self, network: Path, exported: Path, points: Points, dataset: tuple[str, str]
    ) -> None:
        """Record a network as an MLflow model, or replace its files.

        The model maps pixels (n, 28, 28) in [0, 1] to probabilities (n, 10). `exported`
        is the same as a torch.export program, for `mlflow.pytorch.load_model`. The
        model gets metrics, which the run already has, as in `log_points`, and the name
        and sha256 of the data set that they were measured on.
        """

    @abstractmethod
    def log_dataset(
        self, name: str, sha256: str, source: str, counts: Mapping[str, int], use: str
    ) -> None:
        """Record a data set that the run reads from `source`.

        `counts` has the number of images in each part; `use` is "training" or
        "evaluation".
        """

    @abstractmethod
    def set_tags(self, tags: Tags) -> None:
        """Set tags, by which runs can be searched."""

    @abstractmethod
    def describe(self, text: str, results: Mapping[str, str]) -> None:
        """Set the description on the run's page: Markdown, then entries by title."""

    @abstractmethod
    def describe_results(self, results: Mapping[str, str]) -> None:
        """Add entries to the description, or replace those with the same titles."""

    @abstractmethod
    def link(self, text: str, page: str) -> str:
        """Return a Markdown link to a page of the run.

        `page` is "model-metrics", or "artifacts/" and the name of an artifact.
        """

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
    ) -> "AbstractContextManager[Run]":
        """Record a finished training run of this sweep as a child of this run.

        Its tags contain its provenance. It lasted from `start` to `end`, in
        milliseconds since 1970; None is now. When the block ends, the child becomes
        FINISHED, or FAILED if there is an error. If the block fails or this process is
        killed inside it, `delete_unfinished_children` removes the child.
        """

    @abstractmethod
    def reopen_child(self, run_id: str) -> "Run":
        """Return a child to which more can be recorded; it stays finished."""

    @abstractmethod
    def delete_unfinished_children(self) -> None:
        """Delete the incomplete children; failed ones remain."""

    @abstractmethod
    def compare_children(self, params: Sequence[str]) -> str:
        """Return Markdown links to pages with the children, best first.

        These are a list with columns for `params`, which are swept, and two charts. One
        plots the validation accuracy against the first of `params`; the other shows all
        of them as parallel coordinates.
        """


RunType = TypeVar("RunType", bound=OpenRun, covariant=True)


def final_status(error: BaseException) -> tuple[Status, str]:
    """Return the status of a run that an error ended, and its text; "" if KILLED."""
    if isinstance(error, Exception):
        return Status.FAILED, f"{type(error).__name__}: {error}"
    return Status.KILLED, ""


class Tracker(ABC, Generic[RunType]):
    """Opens and closes runs in a store; a server, if any, receives copies."""

    store: Path
    server: str | None = None

    @contextmanager
    def start_run(
        self, *, name: str, params: Params, tags: Tags, resume: str | None = None
    ) -> Iterator[RunType]:
        """Open a run, or resume the run with this id; close it when the block ends.

        Its final status is FINISHED, FAILED after an exception, or KILLED after an
        interrupt. Tags with its provenance are added. A server gets a copy while the
        run is open and when it is closed.

        Raises:
            UserError, OSError: If the store cannot be written to.
        """
        with self._mirror() as mirror:
            tags = process_tags() | dict(tags)
            run = self.open_run(name, params, tags, resume=resume)
            if mirror:
                mirror.follow(lambda: run.id)
            with self._recorded(run, mirror, partial(self.close_run, run)):
                yield run

    @contextmanager
    def _mirror(self) -> Iterator[Mirror | None]:
        """Yield the copy of a run on the server, if there is one; then end it."""
        if self.server is None:
            yield None
            return
        with closing(Mirror(self.store, self.server)) as mirror:
            yield mirror

    @contextmanager
    def _recorded(
        self,
        run: OpenRun,
        mirror: Mirror | None,
        close: Callable[[Status, str], str | None],
    ) -> Iterator[None]:
        """Record a run in the block, then close it and complete its copy.

        `close` gets the status and the error, as `close_run`. The copy is completed
        after an error, too, so that the server has what the store has.
        """
        status, error = Status.FINISHED, ""
        try:
            with self.recording():
                yield
                run.wait()
        except BaseException as exception:
            status, error = final_status(exception)
            raise
        finally:
            closed_id = close(status, error)
            if mirror and closed_id:
                run.copied = mirror.finish(closed_id, is_killed=status == Status.KILLED)

    def recording(self) -> AbstractContextManager[object]:
        """Return the context in which a run is recorded."""
        return nullcontext()

    @abstractmethod
    def open_run(
        self,
        name: str,
        params: Params,
        tags: Tags,
        *,
        resume: str | None,
        start: int | None = None,
    ) -> RunType:
        """Open a new run, or the one with the id `resume`; `close_run` closes it.

        `tags` contains the `process_tags` of the process that trains. `start` is when a
        new run started, in milliseconds since 1970; None is now.
        """

    @abstractmethod
    def close_run(self, run: OpenRun, status: Status, error: str) -> str | None:
        """Close a run and record its error, if any; return the id if it has one.

        Raises:
            UserError, OSError: If a run cannot be marked FINISHED. For another status,
                a message is printed.
        """


class LocalTracker(Tracker[Run]):
    """Opens runs of this process."""

    @contextmanager
    def reopen_run(
        self, *, run_id: str | None, weights_sha256: str | None
    ) -> Iterator[Run]:
        """Open the run that trained a network, to add results; its status and end stay.

        The run is found by the hash of its weights. If there are several such runs,
        `run_id` is used, or else the newest. If there is none, as in a fresh clone, a
        run is created and a message is printed. A sweep has no weights: it is found by
        its id. A server gets a copy when the block ends.
        """
        with self._mirror() as mirror:
            if mirror:
                mirror.start()  # it imports MLflow meanwhile
            run = self.find_or_create_run(run_id, weights_sha256)
            with self._recorded(run, mirror, lambda *_: run.id):
                yield run

    @abstractmethod
    def find_or_create_run(self, run_id: str | None, weights_sha256: str | None) -> Run:
        """Return the run of a network or sweep, or create it; see `reopen_run`."""
