"""Records the outcomes of a sweep as the children of its run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pipeline import UserError
from pipeline.base.terminal import say
from pipeline.base.text import folder_name, wrap
from pipeline.core.epoch import Epoch, now
from pipeline.execution.executor import TaskResult
from pipeline.records.file_names import ERROR_FILE, NETWORK_PATH
from pipeline.records.tags import (
    HOST_TAG,
    KIND_TAG,
    PROCESSOR_TAG,
    REUSED_TAG,
    SWEEP_TAG,
    VALUES_TAG,
    Kind,
)
from pipeline.sweeps.jobs import FailedOutcome, Job, Outcome, TrainedOutcome
from pipeline.sweeps.running_sweep import RunningSweep
from pipeline.tracking import (
    ModelData,
    OpenRun,
    RecordedRun,
    RunStart,
    find_run,
    provenance,
)
from pipeline.training.log import (
    TrainingInputs,
    exported_model,
    log_epochs,
    log_model,
    metrics_of,
    record_inputs,
    record_result,
    shown_epochs,
)
from pipeline.training.training_files import read_training_run, write_training_run
from pipeline.training.training_run import TrainingRun

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_run import MlflowRun


class ReusedRun(NamedTuple):
    """A recorded run whose results a job reuses, and the content of its files."""

    job: Job
    run: RecordedRun
    training: TrainingRun


@dataclass(frozen=True)
class ChildWriter:
    """Writes the children of a sweep's run."""

    run: OpenRun
    sweep: RunningSweep

    def record(self, result: TaskResult) -> Outcome:
        """Record the result of a task: a `TrainingRun`, or an error."""
        job = result.job
        if not result.error:
            code = self.sweep.tracker.read_code()
            tags = provenance.tags(code) | dict(result.machine)
            return self._record_training(job, result.value, tags)
        # An invalid job is recorded once, however often the command is repeated.
        earlier = self.sweep.recorded.failed_run(job) if job.error else None
        run_id = earlier or self.record_attempt(job, result.error, result.traceback)
        return FailedOutcome(job, result.error, run_id, result.traceback)

    def _record_training(
        self,
        job: Job,
        training: TrainingRun,
        tags: Mapping[str, str],
        reused: RecordedRun | None = None,
    ) -> TrainedOutcome:
        """Record a job that was trained now, or earlier by the run `reused`."""
        inputs = TrainingInputs(
            job.data_file, job.values, job.options, fingerprint=job.fingerprint
        )
        start = RunStart(
            f"{job.name} (reused)" if reused else job.name,
            inputs.params,
            {**tags, **inputs.tags, **self._child_tags(job)},
            training.epochs[0].time,
            # For a reused run, `log_inputs` copies the diff.
            diff="" if reused else self.sweep.tracker.read_code().diff,
        )
        with self.run.child(start, end=training.last.time) as child:
            job_folder = self.sweep.folder / folder_name(job.varied_values)
            path = (child.artifacts or job_folder) / NETWORK_PATH
            path.parent.mkdir(parents=True, exist_ok=True)
            record_inputs(child, inputs, plots=False, reused=reused)
            # The best child gets images and statistics later.
            child.record(log_epochs, metrics_of(training.epochs), shown=[])
            write_training_run(training, path.parent, run_id=child.run_id)
            record_result(child, training)
        return TrainedOutcome(
            job,
            training.metrics,
            training.seconds,
            child.run_id,
            path,
            reused=reused is not None,
        )

    def read_reusable(self, job: Job, runs: Iterable[RecordedRun]) -> ReusedRun | None:
        """Read the first run that is not damaged; return None if there is none.

        A line is printed for each damaged run.
        """
        for run in runs:
            try:
                training = read_training_run(run).with_dataset(job.data_file.name)
            except UserError as error:
                rejected = self._reject_damaged(run, error)
                say(wrap(f"{rejected}: its combination is trained again"))
                continue
            return ReusedRun(job, run, training)
        return None

    def record_reused(self, reused: ReusedRun) -> TrainedOutcome:
        """Record a job with the results of an earlier run."""
        job, run, training = reused
        # The tags describe the machine and the code that trained the network.
        tags = provenance.tags_of(run.tags)
        tags[REUSED_TAG] = run.tags.get(REUSED_TAG, run.run_id)
        return self._record_training(job, training, tags, reused=run)

    def _reject_damaged(self, run: RecordedRun, error: UserError) -> str:
        """Return why a run cannot be read; mark a child of a sweep as FAILED.

        Its sweep, which can be another sweep, then trains the network again. A single
        run is not marked, because no command would train it again.
        """
        message = f"run {run.run_id} cannot be read ({error})"
        if SWEEP_TAG in run.tags:
            self.run.record(_log_damage, run.run_id, message)
        return message

    def record_best(self, run_id: str) -> None:
        """Record the model and the images of the weights in the best child.

        A child gets these if it is the best when a process ends. It keeps them if a
        later process finds a better child, because MLflow would keep the link of its
        run to a model that was deleted, and a copy on a server keeps all files.

        Raises:
            UserError: If files of the network are damaged.
        """
        run = find_run(run_id, store=self.sweep.tracker.store)
        try:
            training = read_training_run(run)
        except UserError as error:
            message = self._reject_damaged(run, error)
            raise UserError(f"{message}: the same command trains it again") from None
        shown = shown_epochs(training.epochs, training.hyperparameters.epochs)
        with exported_model(self.run, training, run.network_path) as model:
            self.run.record(_log_best, run.run_id, shown, model)

    def record_attempt(
        self, job: Job, error: str, traceback: str | None = None
    ) -> str | None:
        """Record a failed attempt to train a job; return the ID of its run, if any.

        The run has no tags for host and processor, because the worker is not known.
        """
        code = self.sweep.tracker.read_code()
        tags = provenance.tags(code)
        tags = {k: x for k, x in tags.items() if k not in (HOST_TAG, PROCESSOR_TAG)}
        tags |= self._child_tags(job)
        start = RunStart(job.name, job.params, tags, now(), code.diff)
        with self.run.child(start) as child:
            child.fail(error)
            if traceback:
                child.record(_log_traceback, traceback)
        return child.run_id

    def _child_tags(self, job: Job) -> dict[str, str]:
        sweep_key = self.sweep.recorded.sweep_key
        tags = {**job.tags, KIND_TAG: Kind.TRAINING, SWEEP_TAG: sweep_key}
        return {**tags, VALUES_TAG: job.id} if job.error else tags


def _log_best(
    run: "MlflowRun", run_id: str, shown: Sequence[Epoch], model: ModelData
) -> None:
    """Log images of the weights and the model of the best child, and a link to it."""
    child = run.reopen_child(run_id)
    log_epochs(child, metrics=[], shown=shown)  # the child has the metrics
    log_model(child, model)
    run.add_links({"best": child.link("best network")})


def _log_damage(run: "MlflowRun", run_id: str, error: str) -> None:
    """Log that the files of a child, which can be of another sweep, are damaged."""
    run.fail_child(run_id, error)


def _log_traceback(run: "MlflowRun", text: str) -> None:
    """Log the traceback of a failed training run."""
    run.log_text(ERROR_FILE, text)
