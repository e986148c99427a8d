"""Records the outcomes of a sweep as the children of its run.

Only the process of the sweep itself writes; its workers return arrays.
"""

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline import UserError
from pipeline.cli import TrainConfig, as_yaml
from pipeline.paths import MODEL_FILE, store_dir
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.outcomes import SWEEP_TAG, Earlier, Outcome
from pipeline.tracking import RecordedRun, Run, find_run, provenance, tagged_runs
from pipeline.training import TrainingRun
from pipeline.training.log import (
    add_details,
    describe_training,
    log_epochs,
    log_inputs,
    log_scores,
    log_weights,
    save_curves,
)


class Reusable:
    """Finished runs of the store whose results some jobs of a sweep would have.

    They are in any experiment, and of a processor on which the jobs would be trained.
    """

    def __init__(self, store: Path, processors: Collection[str]) -> None:
        """Find nothing yet."""
        self._store, self._processors = store, processors
        self._runs: dict[str, list[RecordedRun]] = {}  # by fingerprint, newest first

    def find(self, jobs: Iterable[Job]) -> list[Job]:
        """Return the valid jobs for which there is a run; its files may be damaged."""
        wanted = {job.fingerprint: job for job in jobs}
        for run in tagged_runs(self._store, "fingerprint", wanted):
            if run.status == "FINISHED" and run.tags["processor"] in self._processors:
                self._runs.setdefault(run.tags["fingerprint"], []).append(run)
        return [job for key, job in wanted.items() if key in self._runs]

    def read(self, job: Job) -> TrainingRun | None:
        """Return the newest run for a job whose files are neither lost nor damaged."""
        for run in self._runs.get(job.key, []):
            with suppress(OSError, UserError):
                training = TrainingRun.read(run)
                if training.sha256 == run.tags.get("weights.sha256"):
                    return training
        return None


@dataclass(frozen=True)
class Children:
    """The children of a sweep's run."""

    run: Run
    key: str  # the `sweep_key`
    folder: Path  # of the sweep; without tracking, it gets the networks
    earlier: Earlier

    def add(self, job: Job, training: TrainingRun) -> Outcome:
        """Record a trained job, or a copy of a recorded run.

        Raises:
            UserError: If the data changed while the sweep was running.
        """
        assert job.data
        if training.data_sha256 != job.data.sha256:
            raise UserError(f"{job.data.path} changed while the sweep was running")
        source = training.run
        tags = self._tags(job) | {
            "data.sha256": training.data_sha256,
            "fingerprint": job.fingerprint,
            "host": training.host,
            "processor": training.processor,
        }
        if source:  # the child names the machine and the code that trained it
            tags |= {
                tag: source.tags[tag] for tag in provenance.tags() if tag in source.tags
            }
            tags["taken_from"] = source.tags.get("taken_from", source.run_id)
        start, *_, end = (epoch.time for epoch in training.epochs)
        with self.run.child(
            name=job.name, params=training.params, tags=tags, start=start, end=end
        ) as child:
            folder = (child.folder or self.folder / job.folder) / "train"
            folder.mkdir(parents=True, exist_ok=True)
            training.write(folder, run_id=child.id)
            # Validated when the sweep started.
            config = as_yaml(TrainConfig.model_construct(**job.values))
            log_inputs(child, job.data.path, config, plots=False)
            log_epochs(child, training.epochs)
            sha256 = training.sha256
            log_scores(child, training.summary, time=end, sha256=sha256)
            describe_training(child, training.params, training.metrics, images=False)
        return Outcome(
            job,
            accuracy=training.metrics["val/accuracy"],
            seconds=training.seconds,
            run_id=child.id,
            reused=source is not None,
        )

    def add_details(self, best: Outcome) -> None:
        """Add to the best network what only a single training run records.

        These are the images of the weights, the learning curves and the model.

        Raises:
            UserError: If its files are lost or damaged, with the remedy.
        """
        if best.run_id is None:  # tracking=none
            return
        child = self.run.reopen_child(best.run_id)
        recorded = find_run(best.run_id, store=store_dir())
        try:
            training = TrainingRun.read(recorded)
        except (OSError, UserError) as error:
            remedy = "delete this run, and the same command trains it again"
            message = f"run {best.run_id} cannot be read ({error}): {remedy}"
            raise UserError(message) from None
        for epoch in training.epochs:
            log_weights(child, epoch, len(training.epochs) - 1)
        folder = recorded.folder / "train"
        save_curves(training, folder)
        add_details(child, training, folder / MODEL_FILE)

    def fail(self, job: Job, error: str, traceback: str = "") -> Outcome:
        """Record a job that failed."""
        # An invalid job is recorded once, however often the command is repeated.
        if not (job.problems and self.earlier.has_failed(job, error)):
            self.fail_attempt(job, error, traceback)
        return Outcome(job, error, traceback=traceback)

    def fail_attempt(self, job: Job, error: str, traceback: str = "") -> None:
        """Record a failed attempt to train a job."""
        with self.run.child(
            name=job.name, params=job.params, tags=self._tags(job), error=error
        ) as child:
            if traceback:
                child.log_text("error.txt", traceback)

    def _tags(self, job: Job) -> dict[str, str]:
        return {"kind": "training", SWEEP_TAG: self.key, **job.tags}
