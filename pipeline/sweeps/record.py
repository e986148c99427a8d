"""Records the results of a sweep: a child run for each, and a line in one file.

Only the process of the sweep itself writes; its workers return arrays.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline import UserError
from pipeline.cli import HYPERPARAMETERS, as_yaml
from pipeline.model import (
    parameter_count,
    read_run_file,
    store_components,
    tensors_sha256,
)
from pipeline.model.export import export_network
from pipeline.paths import MODEL_FILE, RUN_FILE
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
    log_epochs,
    log_finished,
    log_inputs,
    log_statistics,
    log_weights,
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
    _failures: set[tuple[str, str]] = field(default_factory=set)

    def restore(self, jobs: Iterable[Job]) -> None:
        """Find the jobs that an earlier process of this sweep has finished.

        Raises:
            UserError: If the files of a recorded job are lost.
        """
        self.run.delete_unfinished_children({"sweep": self.folder.name})
        # A user can add other children in MLflow.
        recorded = [
            child
            for child in self.run.children()
            if child.tags.get("sweep") == self.folder.name and "setting" in child.tags
        ]
        children = {c.tags["setting"]: c for c in recorded if c.status == "FINISHED"}
        failures = [child.tags for child in recorded if child.status == "FAILED"]
        self._failures = {(tags["setting"], tags.get("error", "")) for tags in failures}
        for job in jobs:
            child = children.get(job.name)
            outcome = None
            if self.run.id is None:
                outcome = self.results.find(job, run_id=None)
            elif child:
                outcome = self.results.find(job, run_id=child.run_id)
                if outcome is None:  # killed before it wrote the line
                    outcome = _outcome(job, child)
                    self.results.append(outcome)
            if outcome:
                self.outcomes[job.name] = outcome

    def ordered(self, jobs: Iterable[Job]) -> list[Outcome]:
        """Return the outcomes in the order of the jobs, not in which they ended."""
        return [self.outcomes[job.name] for job in jobs if job.name in self.outcomes]

    def find(
        self,
        job: Job,
        finished: Mapping[str, RecordedRun],
        processors: Iterable[str],
    ) -> RecordedRun | None:
        """Return a finished run of the store with the result that a job would have.

        Args:
            job: The job.
            finished: The finished training runs of the store, by identity.
            processors: The processors that could train it.
        """
        identities = (self._identity(job, processor=each) for each in processors)
        return next((finished[each] for each in identities if each in finished), None)

    def reuse(self, job: Job, source: RecordedRun | None) -> Outcome | None:
        """Record a job as a copy of a run, unless its files are lost or damaged."""
        if source is None:
            return None
        try:
            training = FinishedTraining.read(source.folder / "train")
        except (OSError, UserError):
            return None
        tensors = training.states[-1].tensors
        if tensors_sha256(tensors) != source.tags.get("weights.sha256"):
            return None
        machine = (source.tags[tag] for tag in ("host", "processor", "version.torch"))
        sha256 = self.data[job.values["dataset"]].sha256
        result = TrainedSetting(training, sha256, *machine)
        return self.add(job, result, taken_from=source.run_id)

    def add(
        self, job: Job, trained: TrainedSetting, *, taken_from: str | None = None
    ) -> Outcome:
        """Record a trained job.

        Args:
            job: The job.
            trained: Its result.
            taken_from: The run of which this is a copy.

        Raises:
            UserError: If the data changed while the sweep was running.
        """
        assert job.config
        settings, data = job.config.hyperparameters(), self.data[job.config.dataset]
        if trained.data_sha256 != data.sha256:
            raise UserError(f"{data.path} changed while the sweep was running")
        training = trained.finished
        tags = self._tags(job) | {
            "data.sha256": data.sha256,
            "host": trained.host,
            "processor": trained.processor,
            "version.torch": trained.torch,
            "identity": self._identity(
                job, processor=trained.processor, torch=trained.torch
            ),
            **({"taken_from": taken_from} if taken_from else {}),
        }
        start, *_, end = (state.time for state in training.states)
        with self.run.child(
            name=job.name, params=settings, tags=tags, start=start, end=end
        ) as child:
            folder = (child.folder or self.folder / job.folder) / "train"
            folder.mkdir(parents=True, exist_ok=True)
            metadata = settings | {"data_sha256": data.sha256}
            store_components(data.path, job.config.split, sha256=data.sha256)
            sha256 = training.write(folder, metadata, run_id=child.id)
            log_inputs(child, data.path, as_yaml(job.config), plots=False)
            log_epochs(child, training.states)
            log_finished(child, training, folder, sha256=sha256)
            self._describe(child, job, training.metrics(), images=False)
        outcome = Outcome(
            job,
            accuracy=training.metrics()["val/accuracy"],
            parameters=parameter_count(job.config.hidden),
            seconds=training.seconds,
            run_id=child.id,
            reused=taken_from is not None,
        )
        self.results.append(outcome)
        self.outcomes[job.name] = outcome
        return outcome

    def add_details(self, jobs: Iterable[Job]) -> None:
        """Add to the best network the details that a single training run records.

        These are the images of the weights, the learning curves and the program that
        `mlflow.pytorch.load_model` loads. If several jobs have the best accuracy, the
        first is the best.
        """
        trained = [each for each in self.ordered(jobs) if each.run_id]
        if not trained:
            return
        outcome = max(trained, key=lambda each: each.accuracy)
        job = outcome.job
        assert job.config and outcome.run_id
        child = self.run.reopen_child(outcome.run_id)
        assert child.folder
        folder = child.folder / "train"
        training = FinishedTraining.read(folder)
        for state in training.states:
            log_weights(child, state, job.config.epochs)
        learning_curves(training.rows()).save(folder / "learning_curves.png")
        log_statistics(child, training.states)
        with TemporaryDirectory() as temporary:
            exported = Path(temporary, "model.pt2")
            network = folder / MODEL_FILE
            export_network(network, exported, hidden=job.config.hidden)
            child.log_model(network, exported)
        self._describe(child, job, training.metrics(), images=True)

    def _describe(
        self, child: Run, job: Job, metrics: Mapping[str, float], *, images: bool
    ) -> None:
        settings, dataset = job.values, job.displayed["dataset"]
        describe_training(child, settings, metrics, dataset=dataset, images=images)

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
        settings = {key: job.values[key] for key in HYPERPARAMETERS}
        with self.run.child(
            name=job.name, params=settings, tags=self._tags(job), error=error
        ) as child:
            if traceback:
                child.log_text("error.txt", traceback)

    def _tags(self, job: Job) -> dict[str, str]:
        tags = {"kind": "training", "sweep": self.folder.name, "setting": job.name}
        return {**tags, **job.tags}

    def _identity(self, job: Job, *, processor: str, torch: str | None = None) -> str:
        data = self.data[job.values["dataset"]]
        settings = {key: job.values[key] for key in HYPERPARAMETERS}
        return identity(
            settings, data_sha256=data.sha256, processor=processor, torch=torch
        )


def _outcome(job: Job, child: RecordedRun) -> Outcome:
    """Return the outcome of a child that is recorded but not yet in the file."""
    assert job.config
    try:
        run = read_run_file(child.folder / "train" / RUN_FILE)
    except OSError:
        raise UserError(
            f"the files of {job.name} in {child.folder} are lost: delete its run "
            f"{child.run_id} in MLflow, then run the same command again to train it"
        ) from None
    return Outcome(
        job,
        accuracy=child.metrics["val/accuracy"],
        parameters=parameter_count(job.config.hidden),
        seconds=round(sum(run.seconds), 3),
        run_id=child.run_id,
        reused="taken_from" in child.tags,
    )
