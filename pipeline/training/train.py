"""The command train: trains a network or reproduces a run, and records every epoch."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import ConfigError, UserError, datasets
from pipeline.base.fingerprint import fingerprint, processor
from pipeline.base.paths import (
    MODEL_FILE,
    TRAINING_FOLDER,
    data_dir,
    displayed,
)
from pipeline.base.progress import busy
from pipeline.base.results_folder import (
    lasting_dir,
    new_results,
    own_folder,
    results_dir,
)
from pipeline.base.tags import CHECKPOINT_TAG, REPRODUCES_TAG
from pipeline.base.terminal import say
from pipeline.base.text import command_line, next_steps, wrap
from pipeline.cli import Command, TrainConfig, run_name, validate
from pipeline.core.dataset import Dataset, Split
from pipeline.core.epoch import Epoch
from pipeline.core.loop import TrainingState, fit
from pipeline.core.threads import one_thread
from pipeline.execution.interrupt import Interrupt, delayed_interrupt
from pipeline.model.program import prepare_export
from pipeline.model.trained_network import describe_layers
from pipeline.tracking import (
    OpenRun,
    Tracker,
    announce_kept_name,
    find_training_run,
    provenance,
    tagged_runs,
)
from pipeline.training.checkpoints import Checkpoint, open_checkpoint
from pipeline.training.log import (
    TrainingInputs,
    submit_comparison,
    submit_epochs,
    submit_files,
    submit_inputs,
    submit_model,
    submit_result,
)
from pipeline.training.printing import print_epochs, print_summary
from pipeline.training.reproduction import Original, compare, load_data
from pipeline.training.result import TrainResult
from pipeline.training.size import check_machine
from pipeline.training.training_run import (
    TrainingRun,
    finished_training_run,
    read_training_run,
)

OnEpoch = Callable[[Epoch], object]


def train_or_reproduce(
    command: Command[TrainConfig],
    tracker: Tracker[OpenRun],
    on_epoch: OnEpoch | None = None,
) -> TrainResult:
    """Train a network, or reproduce a run; call `on_epoch` after each epoch.

    The run has the options of config groups, such as small for team, as params and
    tags.
    """
    cfg = command.config
    with one_thread():
        if cfg.reproduce:
            return _reproduce(cfg, command.options, tracker, on_epoch)
        dataset = datasets.prepare_and_read(cfg.dataset, folder=data_dir())
        cfg = cfg.model_copy(update={"dataset": dataset.name})  # cfg may name a folder
        options = command.options
        training = _record_training(cfg, options, dataset, tracker, on_epoch)
    say(_next_steps())
    return training


def _next_steps() -> str:
    """Suggest commands for the last trained network, or for the folder of a call."""
    own = own_folder()
    model = str(displayed(own / MODEL_FILE)) if own else None
    return next_steps(
        {
            command_line("evaluate", model=model): "evaluates the network",
            command_line("predict", "images=0", model=model): "classifies test image 0",
            command_line("inspect", model=model): "writes an interactive page",
        }
    )


def _reproduce(
    cfg: TrainConfig,
    options: Mapping[str, str],
    tracker: Tracker[OpenRun],
    on_epoch: OnEpoch | None,
) -> TrainResult:
    """Train a recorded run again, and compare the two networks.

    Raises:
        UserError: If the run or its data is not available.
        PartlyFailed: If the networks differ.
    """
    tags = provenance.tags(tracker.code)
    with busy("reading the recorded run"):
        text = str(cfg.reproduce)
        run = find_training_run(text, store=tracker.store, server=cfg.server)
        original = Original(run, read_training_run(run))
    dataset = load_data(original, data_dir())
    settings = {
        **dict(cfg),
        **dict(original.training.hyperparameters),
        "dataset": dataset.name,  # the same images can have a different name here
        "reproduce": run.run_id,
        "run_name": cfg.run_name or f"{run.name} again",
    }
    try:
        cfg = validate(TrainConfig, settings)
    except ConfigError as error:
        message = f"run {run.run_id} cannot be reproduced: {error}"
        raise UserError(message) from None
    training = _record_training(cfg, options, dataset, tracker, on_epoch, original)
    say(f"\n{compare(original, training, tags)}")
    explaining = command_line("inspect", run=run.run_id[:8])
    say(next_steps({explaining: "explains the network"}))
    return training


@dataclass(frozen=True, eq=False)  # arrays cannot be compared as a whole
class _Prepared:
    """What a training run needs before its run is opened."""

    folder: Path  # gets the results
    split: Split
    state: TrainingState
    name: str
    inputs: TrainingInputs


def _record_training(
    cfg: TrainConfig,
    options: Mapping[str, str],
    dataset: Dataset,
    tracker: Tracker[OpenRun],
    on_epoch: OnEpoch | None,
    original: Original | None = None,
) -> TrainResult:
    """Train a network in a run, and write and print the results.

    `original` is the run that is reproduced, if any.
    """
    folder = results_dir("reproduce" if original else TRAINING_FOLDER)
    check_machine(
        cfg.hyperparameters(), tracker.store, folder, is_recorded=cfg.is_recorded
    )
    prepared = _prepare(cfg, options, dataset, folder)
    training, run, interrupt = _train_in_run(
        cfg, dataset, tracker, prepared, on_epoch, original
    )
    _print_results(training, run, prepared)
    interrupt.check("stopped after training had finished")
    if cfg.is_recorded:  # another training run replaces `folder`
        folder = lasting_dir(TRAINING_FOLDER, run.artifacts)
    return TrainResult(
        metadata=training.metadata,
        epochs=training.epochs,
        final_metrics=training.final_metrics,
        folder=folder,
        run_id=run.run_id,
        copied=run.copied,
    )


def _prepare(
    cfg: TrainConfig, options: Mapping[str, str], dataset: Dataset, folder: Path
) -> _Prepared:
    """Create the network, and start the process that will export it."""
    hyperparameters = cfg.hyperparameters()
    split = dataset.training_split(hyperparameters)
    state = TrainingState.initial(hyperparameters)
    name, network = cfg.run_name or run_name(dict(cfg)), state.network
    say(f"{name}: {describe_layers(network)}, {network.parameter_count:,} parameters")
    if cfg.is_recorded:
        prepare_export(cfg.hidden)  # in another process, alongside training
    inputs = TrainingInputs(
        dataset.file,
        values=dict(cfg),
        options=options,
        fingerprint=fingerprint(hyperparameters, dataset.file.sha256),
    )
    return _Prepared(folder, split, state, name, inputs)


def _train_in_run(
    cfg: TrainConfig,
    dataset: Dataset,
    tracker: Tracker[OpenRun],
    prepared: _Prepared,
    on_epoch: OnEpoch | None,
    original: Original | None,
) -> tuple[TrainingRun, OpenRun, Interrupt]:
    """Train with checkpoints, and record and write everything.

    Returns:
        The training run, the run, which is closed, and the interrupt of the user.
    """
    inputs, split, state = prepared.inputs, prepared.split, prepared.state
    context = _context(cfg, inputs.options, experiment=tracker.experiment)
    hyperparameters = cfg.hyperparameters()
    with (
        open_checkpoint(
            tracker.store, inputs.fingerprint, context, state, resume=cfg.resume
        ) as checkpoint,
        _start_run(cfg, checkpoint, tracker, prepared.name, inputs) as run,
        delayed_interrupt("stopping after this epoch") as interrupt,
    ):
        submit_inputs(run, inputs, plots=True)
        numbers = interrupt.between(range(len(checkpoint.epochs), cfg.epochs + 1))
        trained = fit(state, split, hyperparameters, epochs=numbers)
        _train_epochs(trained, cfg.epochs, checkpoint, run, on_epoch)
        training = finished_training_run(
            dataset, split.train, hyperparameters, checkpoint.epochs
        )
        _write(cfg, training, prepared.folder, run, original)
    return training, run, interrupt


def _print_results(training: TrainingRun, run: OpenRun, prepared: _Prepared) -> None:
    """Print the scores, the hash of the weights, and where the results are."""
    print_summary(training, prepared.split.val)
    files = displayed(prepared.folder)
    say(f"weights.sha256 {training.weights_sha256}\nfiles  {files}")
    say(run.viewing_hint(), end="")


def _context(
    cfg: TrainConfig, options: Mapping[str, str], *, experiment: str | None
) -> dict[str, Any]:
    """Return what must match to resume a run, in addition to the fingerprint."""
    return {
        "processor": processor(),  # other processors compute different weights
        "experiment": experiment,  # contains the run
        # The run records the following values. The name is included because identical
        # images can have several names.
        "dataset": cfg.dataset,
        "reproduces": cfg.reproduce,
        "options": dict(sorted(options.items())),
    }


@contextmanager
def _start_run(
    cfg: TrainConfig,
    checkpoint: Checkpoint,
    tracker: Tracker[OpenRun],
    name: str,
    inputs: TrainingInputs,
) -> Iterator[OpenRun]:
    """Open the run that a checkpoint belongs to, or a new run."""
    reproduces = {REPRODUCES_TAG: cfg.reproduce} if cfg.reproduce else {}
    wanted = [checkpoint.id] if cfg.is_recorded else []
    killed = next(iter(tagged_runs(tracker.store, CHECKPOINT_TAG, wanted)), None)
    with tracker.start_run(
        name=killed.name if killed else name,
        params=inputs.params,
        tags={**inputs.tags, **reproduces, CHECKPOINT_TAG: checkpoint.id},
        resume=killed.run_id if killed else None,
    ) as run:
        if last := checkpoint.epochs[-1].number:
            label, experiment = (killed or run).label, tracker.experiment
            where = f" in experiment {experiment}" if cfg.is_recorded else ""
            say(wrap(f"resuming {label} after epoch {last} of {cfg.epochs}{where}"))
        if killed:
            announce_kept_name(killed.name, cfg.run_name)
        yield run


def _train_epochs(
    epochs: Iterator[Epoch],
    total: int,
    checkpoint: Checkpoint,
    run: OpenRun,
    on_epoch: OnEpoch | None,
) -> None:
    """Train epoch by epoch: save, record and print each epoch."""
    # A killed process may not have logged the epochs of the checkpoint.
    unlogged = [*checkpoint.epochs]
    for epoch in print_epochs(epochs, total=total, done=unlogged[-1].number):
        checkpoint.save(epoch)  # `fit` waits, so its state belongs to this epoch
        submit_epochs(run, [*unlogged, epoch], total)
        unlogged = []
        if on_epoch:
            on_epoch(deepcopy(epoch))  # because `on_epoch` may change its arrays
    if unlogged:  # no epoch was left to train
        submit_epochs(run, unlogged, total)


def _write(
    cfg: TrainConfig,
    training: TrainingRun,
    folder: Path,
    run: OpenRun,
    original: Original | None,
) -> None:
    """Write and record the results, for a reproduction with the tag `reproduced`."""
    message = "writing and recording the trained network"
    with busy(message), new_results(folder) as temporary:
        training.write(temporary, run_id=run.run_id)
        submit_result(run, training)
        submit_files(run, temporary)
        if cfg.is_recorded:
            submit_model(run, training, temporary / MODEL_FILE)
        if original:
            is_equal = original.is_reproduced_by(training)
            submit_comparison(run, is_equal=is_equal)
        # The recording process reads the files of `temporary` before they are moved.
        run.wait()
