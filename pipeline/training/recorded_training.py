"""A recorded training run: trains a network with checkpoints, and records every epoch.

`train_recorded` lists all steps in order. The other functions are in the order
in which it calls them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass

from pipeline.base.error_messages import RESUME
from pipeline.base.paths import displayed
from pipeline.base.progress import busy
from pipeline.base.results_folder import ResultsFolder
from pipeline.base.terminal import say
from pipeline.base.text import wrap
from pipeline.cli import TrainConfig
from pipeline.core.dataset import Dataset
from pipeline.core.epoch import Epoch
from pipeline.core.loop import TrainingState, fit
from pipeline.execution.interrupt import Interrupt, delayed_interrupt
from pipeline.model.trained_network import describe_layers
from pipeline.records.file_names import MODEL_FILE, TRAINING_FOLDER
from pipeline.records.fingerprint import fingerprint
from pipeline.records.software import processor
from pipeline.records.tags import CHECKPOINT_TAG, REPRODUCES_TAG
from pipeline.tracking import OpenRun, RecordedRun, Tracker, announce_kept_name
from pipeline.training.checkpoints import Checkpoint, CheckpointKey, open_checkpoint
from pipeline.training.log import (
    TrainingInputs,
    log_comparison,
    log_files,
    record_epochs,
    record_inputs,
    record_model,
    record_result,
)
from pipeline.training.printing import epoch_table, print_summary
from pipeline.training.program import start_exporter
from pipeline.training.result import TrainResult
from pipeline.training.run_names import run_name
from pipeline.training.size import check_machine
from pipeline.training.training_files import write_training_run
from pipeline.training.training_run import TrainingRun

OnEpoch = Callable[[Epoch], object]


@dataclass(frozen=True, eq=False)
class Original:
    """The recorded training run that a reproduction trains again."""

    run: RecordedRun
    training: TrainingRun


@dataclass(frozen=True, eq=False)
class TrainCall:
    """The arguments of a call to `train`."""

    cfg: TrainConfig  # for a reproduction, with the recorded hyperparameters
    options: Mapping[str, str]  # the options of config groups
    tracker: Tracker
    on_epoch: OnEpoch  # is called with each epoch, also those of a checkpoint
    results: ResultsFolder
    original: Original | None  # only for a reproduction

    @property
    def reproduces(self) -> str | None:
        """The ID of the run that is trained again, if any."""
        return self.original.run.run_id if self.original else None


def train_recorded(call: TrainCall, dataset: Dataset) -> TrainResult:
    """Train a network in a run, with checkpoints; write and print the results."""
    cfg = call.cfg
    hyperparameters = cfg.hyperparameters
    split = dataset.training_split(hyperparameters)
    inputs = TrainingInputs(
        dataset.file,
        # The setting can be a folder; see `DataFile.name`.
        values={**dict(cfg), "dataset": dataset.name},
        options=call.options,
        fingerprint=fingerprint(hyperparameters, dataset.file.sha256),
    )
    key = _checkpoint_key(call, inputs)
    check_machine(
        hyperparameters,
        key.store,
        call.results.path,
        saved=key.saved_bytes(),
        is_recorded=call.tracker.is_recorded,
    )
    state = TrainingState.initial(hyperparameters)
    network = state.network
    name = cfg.run_name or run_name(inputs.values)
    say(f"{name}: {describe_layers(network)}, {network.parameter_count:,} parameters")
    if call.tracker.is_recorded:
        start_exporter(cfg.hidden)  # in another process, alongside training
    # The run has a tag with the ID of the checkpoint, so the checkpoint is opened
    # first. It is removed last: if the process is killed while the run is closed or
    # copied, the next command finds both. Only the innermost block delays Ctrl-C,
    # because opening and closing the run can wait for another process or a server.
    with (
        open_checkpoint(key, state, resume=cfg.resume) as checkpoint,
        _open_run(call, inputs, checkpoint, name) as run,
        delayed_interrupt("stopping after this epoch") as interrupt,
    ):
        record_inputs(run, inputs, plots=True)
        missing = range(len(checkpoint.epochs), cfg.epochs + 1)
        numbers = until_interrupt(missing, interrupt)
        epochs = fit(state, split, hyperparameters, epochs=numbers)
        _save_and_log(epochs, call, checkpoint, run)
        # Nothing is left to stop, so Ctrl-C in the last epoch has no effect.
        training = TrainingRun.of(dataset, hyperparameters, checkpoint.epochs)
        if original := call.original:
            run.record(log_comparison, training.has_weights_of(original.training))
        _write(call, training, run)
    print_summary(training, split.val)
    say(f"weights.sha256 {training.trained.weights_sha256}")
    say(f"files  {displayed(call.results.path)}")
    say(run.viewing_hint(), end="")
    return TrainResult(
        metadata=training.metadata,
        epochs=training.epochs,
        final_metrics=training.final_metrics,
        folder=call.results.lasting_folder(run.artifacts, recorded_as=TRAINING_FOLDER),
        run_id=run.run_id,
        copied=run.copied,
    )


def _checkpoint_key(call: TrainCall, inputs: TrainingInputs) -> CheckpointKey:
    """Return the values that must match to resume a killed training run."""
    context = {
        "processor": processor(),  # other processors compute different weights
        "experiment": call.tracker.experiment,  # contains the run
        # The run records the following values. The name is included because identical
        # images can have several names.
        "dataset": inputs.values["dataset"],
        "reproduces": call.reproduces,
        "options": dict(sorted(call.options.items())),
    }
    return CheckpointKey(call.tracker.store, inputs.fingerprint, context)


@contextmanager
def _open_run(
    call: TrainCall, inputs: TrainingInputs, checkpoint: Checkpoint, name: str
) -> Iterator[OpenRun]:
    """Open the run that a checkpoint belongs to, or a new run."""
    cfg = call.cfg
    tracker = call.tracker
    reproduces = {REPRODUCES_TAG: call.reproduces} if call.reproduces else {}
    earlier = next(iter(tracker.tagged_runs(CHECKPOINT_TAG, [checkpoint.id])), None)
    with tracker.start_run(
        name=earlier.name if earlier else name,
        params=inputs.params,
        tags={**inputs.tags, **reproduces, CHECKPOINT_TAG: checkpoint.id},
        time=checkpoint.epochs[0].time,
        resume=earlier.run_id if earlier else None,
    ) as run:
        if last := checkpoint.epochs[-1].number:
            resumed = "the training run"
            where = ""
            if tracker.is_recorded:
                resumed = (earlier or run).label
                where = f" in experiment {tracker.experiment}"
            say(wrap(f"resuming {resumed} after epoch {last} of {cfg.epochs}{where}"))
        if earlier:
            announce_kept_name(earlier.name, cfg.run_name)
        yield run


def until_interrupt(epochs: Sequence[int], interrupt: Interrupt) -> Iterator[int]:
    """Yield epochs until Ctrl-C is pressed; then raise a KeyboardInterrupt.

    In the last epoch and after it, Ctrl-C does not stop the command.
    """
    for epoch in epochs:
        interrupt.check(f"stopped after epoch {epoch - 1}: {RESUME}")
        if epoch == epochs[-1]:
            interrupt.message = "not stopping, because this is the last epoch"
        yield epoch
    interrupt.message = "not stopping, because all epochs are trained"


def _save_and_log(
    epochs: Iterator[Epoch], call: TrainCall, checkpoint: Checkpoint, run: OpenRun
) -> None:
    """Save, log and print each epoch when it is trained; then call `on_epoch`."""
    total = call.cfg.epochs
    # A killed process may not have logged the epochs of the checkpoint.
    unlogged = [*checkpoint.epochs]
    for epoch in unlogged[1:]:  # epoch 0 is before training
        call.on_epoch(deepcopy(epoch))  # `on_epoch` may change its arrays
    with epoch_table(total=total, done=unlogged[-1].number) as print_epoch:
        for epoch in epochs:
            checkpoint.save(epoch)  # `fit` waits, so its state belongs to this epoch
            record_epochs(run, [*unlogged, epoch], total)
            unlogged = []
            print_epoch(epoch)
            call.on_epoch(deepcopy(epoch))
    if unlogged:  # no epoch was left to train
        record_epochs(run, unlogged, total)


def _write(call: TrainCall, training: TrainingRun, run: OpenRun) -> None:
    """Write and record the results."""
    message = "writing and recording the trained network"
    with busy(message), call.results.new() as temporary:
        write_training_run(training, temporary, run_id=run.run_id)
        record_result(run, training)
        run.record(log_files, sorted(temporary.iterdir()))
        if call.tracker.is_recorded:
            record_model(run, training, temporary / MODEL_FILE)
        # The recording process reads the files of `temporary` before they are moved.
        run.wait()
