"""Records the results of a sweep: a child run for each, and a line in one file.

Only the process of the sweep itself writes; its workers return arrays.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import UserError
from pipeline.cli import TrainConfig, as_yaml
from pipeline.model import (
    parameter_count,
    read_metrics,
    read_run_file,
    store_components,
    tensors_sha256,
)
from pipeline.paths import METRICS_FILE, MODEL_FILE, RUN_FILE
from pipeline.plots import learning_curves
from pipeline.sweeps.data import DataFile
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.outcomes import Outcome, ResultsFile
from pipeline.tracking import RecordedRun, Run
from pipeline.training import (
    FinishedTraining,
    TrainedSetting,
    describe_training,
    identity,
    log_details,
    log_epochs,
    log_inputs,
    log_scores,
    log_weights,
    settings_digest,
)


@dataclass
class SweepRecord:
    """The recorded outcomes of a sweep.

    The children of its run are authoritative; without tracking, its file is.
    """

    run: Run
    folder: Path
    data: Mapping[str, DataFile]  # by the value of the key `dataset`
    results: ResultsFile
    outcomes: dict[str, Outcome] = field(default_factory=dict)  # by the name of the job
    # Finished training runs of the store, by `settings_digest`.
    reusable: Mapping[str, RecordedRun] = field(default_factory=dict)
    _failures: set[tuple[str, str]] = field(default_factory=set)

    def restore(self, jobs: Iterable[Job]) -> list[Job]:
        """Find the jobs that an earlier process of this sweep has finished.

        Returns:
            The other jobs.

        Raises:
            UserError: If the files of a recorded job are lost.
        """
        self.run.delete_unfinished_children({"sweep": self.folder.name})
        finished: dict[str, RecordedRun] = {}  # by the name of the job
        for run in self.run.children():  # one that a user has added lacks these tags
            name = run.tags.get("setting", "")
            if run.status == "FINISHED":
                finished[name] = run
            elif run.status == "FAILED":
                self._failures.add((name, run.tags.get("error", "")))
        missing = []
        for job in jobs:
            child = finished.get(job.name)
            outcome = self.results.find(job, run_id=child.run_id if child else None)
            if child and not outcome:  # killed before it wrote the line
                outcome = _outcome(job, child)
                self.results.append(outcome)
            if outcome:
                self.outcomes[job.name] = outcome
            else:
                missing.append(job)
        return missing

    def find(self, job: Job) -> RecordedRun | None:
        """Return a finished run of the store with the result that a job would have."""
        sha256 = self.data[job.values["dataset"]].sha256
        return self.reusable.get(settings_digest(job.hyperparameters, sha256))

    def reuse(self, job: Job) -> Outcome | None:
        """Record a job as a copy of a run, unless its files are lost or damaged."""
        source = self.find(job)
        if source is None:
            return None
        try:
            training = FinishedTraining.read(source.folder / "train")
        except (OSError, UserError):
            return None
        tensors = training.epochs[-1].tensors
        if tensors_sha256(tensors) != source.tags.get("weights.sha256"):
            return None
        host, processor = source.tags["host"], source.tags["processor"]
        sha256 = self.data[job.values["dataset"]].sha256
        result = TrainedSetting(training, sha256, host, processor)
        return self.add(job, result, taken_from=source.run_id)

    def add(
        self, job: Job, trained: TrainedSetting, *, taken_from: str | None = None
    ) -> Outcome:
        """Record a trained job; `taken_from` is the run of which it is a copy.

        Raises:
            UserError: If the data changed while the sweep was running.
        """
        settings, data = job.hyperparameters, self.data[job.values["dataset"]]
        if trained.data_sha256 != data.sha256:
            raise UserError(f"{data.path} changed while the sweep was running")
        training = trained.finished
        tags = self._tags(job) | {
            "data.sha256": data.sha256,
            "host": trained.host,
            "processor": trained.processor,
            "identity": identity(
                settings, data_sha256=data.sha256, processor=trained.processor
            ),
            **({"taken_from": taken_from} if taken_from else {}),
        }
        start, *_, end = (epoch.time for epoch in training.epochs)
        with self.run.child(
            name=job.name, params=settings, tags=tags, start=start, end=end
        ) as child:
            folder = (child.folder or self.folder / job.folder) / "train"
            folder.mkdir(parents=True, exist_ok=True)
            metadata = settings | {"data_sha256": data.sha256}
            store_components(data.path, settings["split"], sha256=data.sha256)
            sha256 = training.write(folder, metadata, run_id=child.id)
            # Validated when the sweep started; a folder of images may have moved.
            config = as_yaml(TrainConfig.model_construct(**job.values))
            log_inputs(child, data.path, config, plots=False)
            log_epochs(child, training.epochs)
            log_scores(child, training, sha256=sha256)
            child.log_model(folder / MODEL_FILE)
            metrics, dataset = training.metrics(), job.displayed["dataset"]
            describe_training(child, settings, metrics, dataset=dataset, images=False)
        outcome = Outcome(
            job,
            accuracy=metrics["val/accuracy"],
            parameters=parameter_count(settings["hidden"]),
            seconds=training.seconds,
            run_id=child.id,
            reused=taken_from is not None,
        )
        self.results.append(outcome)
        self.outcomes[job.name] = outcome
        return outcome

    def add_details(self, best: Outcome) -> None:
        """Add to the best network the details that a single training run records.

        These are the images of the weights, the learning curves and what `log_details`
        logs.
        """
        if best.run_id is None:  # tracking=none
            return
        child, settings = self.run.reopen_child(best.run_id), best.job.hyperparameters
        assert child.folder
        folder = child.folder / "train"
        training = FinishedTraining.read(folder)
        for epoch in training.epochs:
            log_weights(child, epoch, settings["epochs"])
        learning_curves(training.rows()).save(folder / "learning_curves.png")
        dataset = best.job.displayed["dataset"]
        log_details(child, training, folder, settings, dataset=dataset)

    def fail(self, job: Job, error: str, traceback: str = "") -> Outcome:
        """Record a job that failed."""
        # An invalid job is recorded once, however often the command is repeated.
        if not (job.problems and (job.name, error) in self._failures):
            self.fail_attempt(job, error, traceback)
        outcome = Outcome(job, error, traceback=traceback)
        self.outcomes[job.name] = outcome
        return outcome

    def fail_attempt(self, job: Job, error: str, traceback: str = "") -> None:
        """Record a failed attempt to train a job."""
        with self.run.child(
            name=job.name,
            params=job.hyperparameters,
            tags=self._tags(job),
            error=error,
        ) as child:
            if traceback:
                child.log_text("error.txt", traceback)

    def _tags(self, job: Job) -> dict[str, str]:
        tags = {"kind": "training", "sweep": self.folder.name, "setting": job.name}
        return {**tags, **job.tags}


def _outcome(job: Job, child: RecordedRun) -> Outcome:
    """Return the outcome of a child that is recorded but not yet in the file."""
    try:
        run = read_run_file(child.folder / "train" / RUN_FILE)
        metrics = read_metrics(child.folder / "train" / METRICS_FILE)
    except OSError:
        raise UserError(
            f"the files of {job.name} in {child.folder} are lost: delete its run "
            f"{child.run_id} in MLflow, then run the same command again to train it"
        ) from None
    return Outcome(
        job,
        accuracy=metrics["val/accuracy"],
        parameters=parameter_count(job.values["hidden"]),
        seconds=round(sum(run.seconds), 3),
        run_id=child.run_id,
        reused="taken_from" in child.tags,
    )
