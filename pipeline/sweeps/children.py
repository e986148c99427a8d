"""Records the outcomes of a sweep as the children of its run.

Only the process of the sweep writes; its workers return arrays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline import UserError
from pipeline.base.paths import NETWORK_PATH
from pipeline.base.tags import (
    HOST_TAG,
    KIND_TAG,
    PROCESSOR_TAG,
    REUSED_TAG,
    SWEEP_TAG,
    VALUES_TAG,
    Kind,
)
from pipeline.sweeps.jobs import Job, Outcome, folder_name
from pipeline.sweeps.recorded_sweep import RecordedSweep
from pipeline.tracking import RecordedRun, Run, RunStart, find_run, provenance
from pipeline.training.log import log_epochs, with_shown_tensors
from pipeline.training.run_data import TrainingInputs, submit_model, submit_result
from pipeline.training.training_run import TrainingRun, read_training_run


@dataclass(frozen=True)
class Children:
    """The children of a sweep's run."""

    run: Run
    folder: Path  # the folder of the sweep; without tracking, also of the networks
    recorded: RecordedSweep  # the record of earlier processes
    code: provenance.CodeState  # the code when the command started

    def record(
        self,
        job: Job,
        training: TrainingRun,
        *,
        machine: Mapping[str, str] | None = None,
        reused: RecordedRun | None = None,
    ) -> Outcome:
        """Record a job that was trained now, or earlier by the run `reused`.

        `machine` is the `TaskResult.machine` of a job that was trained now.
        """
        # The data set gets its name in this sweep. The tags name the machine and the
        # code that trained the network.
        training = training.with_dataset(job.data.name)
        if reused:
            tags = provenance.tags_of(reused.tags)
            tags[REUSED_TAG] = reused.tags.get(REUSED_TAG, reused.run_id)
        else:
            tags = provenance.tags(self.code) | dict(machine or {})
        inputs = TrainingInputs(
            job.data, job.values, job.options, fingerprint=job.fingerprint
        )
        start = RunStart(
            job.name,
            inputs.params,
            tags | inputs.tags | self._child_tags(job),
            diff="" if reused else self.code.diff,  # `log_inputs` copies the diff
            time=training.epochs[0].time,
        )
        with self.run.child(start, end=training.last.time) as child:
            parent = child.artifacts or self.folder / folder_name(job.varied_values)
            path = parent / NETWORK_PATH
            path.parent.mkdir(parents=True, exist_ok=True)
            inputs.submit(child, plots=False, reused=reused)
            # The best child gets images and statistics later.
            metrics = [replace(each, tensors={}) for each in training.epochs]
            child.submit(log_epochs, metrics)
            training.write(path.parent, run_id=child.run_id)
            submit_result(child, training)
        return Outcome(
            job,
            metrics=training.metrics,
            seconds=training.seconds,
            run_id=child.run_id,
            network_path=path,
            reused=reused is not None,
        )

    def record_best(self, best: Outcome, *, store: Path) -> None:
        """Record the model and the images of the weights of the best network.

        In a sweep, no other child has these. The run is in `store`.

        Raises:
            UserError: If the files of the network are damaged. The child is then
                marked as failed, so the same command trains the network again.
        """
        if best.run_id is None:  # nothing is recorded
            return
        child = self.run.reopen_child(best.run_id)
        run = find_run(best.run_id, store=store)
        try:
            training = read_training_run(run)
        except UserError as error:
            message = f"run {best.run_id} cannot be read ({error})"
            self.run.fail_child(best.run_id, message)
            remedy = "the same command trains it again"
            raise UserError(f"{message}: {remedy}") from None
        shown = with_shown_tensors(training.epochs, training.last.number)
        child.submit(log_epochs, shown)
        submit_model(child, training, run.network_path)

    def fail(self, job: Job, error: str, traceback: str = "") -> Outcome:
        """Record a job that failed."""
        # An invalid job is recorded once, however often the command is repeated.
        earlier = self.recorded.failed_run(job) if job.error else None
        run_id = earlier or self.fail_attempt(job, error, traceback)
        return Outcome(job, error, run_id=run_id, traceback=traceback)

    def fail_attempt(self, job: Job, error: str, traceback: str = "") -> str | None:
        """Record a failed attempt to train a job; return the id of its run, if any.

        The run has no tags for host and processor, because the worker is not known.
        """
        tags = provenance.tags(self.code)
        tags = {k: x for k, x in tags.items() if k not in (HOST_TAG, PROCESSOR_TAG)}
        tags |= self._child_tags(job)
        start = RunStart(job.name, job.params, tags, self.code.diff)
        with self.run.child(start) as child:
            child.fail(error)
            if traceback:
                child.log_text("error.txt", traceback)
        return child.run_id

    def _child_tags(self, job: Job) -> dict[str, str]:
        tags = {**job.tags, KIND_TAG: Kind.TRAINING, SWEEP_TAG: self.recorded.sweep_id}
        return {**tags, VALUES_TAG: job.id} if job.error else tags
