"""The command train: trains a network or reproduces a run, and records every epoch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from pipeline import ConfigError, UserError, datasets
from pipeline.base import files
from pipeline.base.call import own_folder, results_dir, say
from pipeline.base.paths import (
    MODEL_FILE,
    TRAINING_FOLDER,
    data_dir,
    displayed,
    store_dir,
)
from pipeline.base.terminal import command_line, next_steps, status, wrap
from pipeline.cli import TrainConfig, as_yaml, run_name, validate
from pipeline.core.dataset import Dataset
from pipeline.core.epoch import Epoch
from pipeline.core.fingerprint import code_hashes, fingerprint, processor
from pipeline.core.loop import TrainingState, fit
from pipeline.core.threads import one_thread
from pipeline.execution.interrupt import delayed_interrupt
from pipeline.model.program import prepare_export
from pipeline.model.storage import params_of
from pipeline.tracking import (
    OpenRun,
    Tracker,
    experiment_of,
    find_training_run,
    tagged_runs,
)
from pipeline.tracking.store.tags import CHECKPOINT_TAG, REPRODUCES_TAG
from pipeline.training.checkpoints import Checkpoint, open_checkpoint
from pipeline.training.log import log_comparison, log_epoch, log_files, log_inputs
from pipeline.training.printing import print_epochs, print_summary
from pipeline.training.recording import record_model, record_result
from pipeline.training.reproduction import Original, compare, load_data
from pipeline.training.training_run import TrainingRun, TrainResult, training_tags

NEXT = {
    command_line("evaluate"): "evaluates the network",
    command_line("predict", "images=0"): "classifies test image 0",
    command_line("inspect"): "writes an interactive page",
}
OnEpoch = Callable[[Epoch], object]


def train(
    cfg: TrainConfig, tracker: Tracker[OpenRun], on_epoch: OnEpoch | None = None
) -> TrainResult:
    """Train a network, or reproduce a run; call `on_epoch` after each epoch."""
    with one_thread():
        if cfg.reproduce:
            return _reproduce(cfg, tracker, on_epoch)
        file = datasets.prepare(cfg.dataset, folder=data_dir())
        dataset = Dataset.read(file.path)
        cfg = cfg.model_copy(update={"dataset": dataset.name})  # it may be a folder
        training = _train(cfg, dataset, tracker, on_epoch)
    say(next_steps(NEXT))
    return training


def _reproduce(
    cfg: TrainConfig, tracker: Tracker[OpenRun], on_epoch: OnEpoch | None
) -> TrainResult:
    """Train a recorded run again, and compare the two networks.

    Raises:
        UserError: If the run or its data are not available, or the networks differ.
    """
    with status("reading the recorded run"):
        run = find_training_run(str(cfg.reproduce), store=store_dir())
        original = Original(run, TrainingRun.read(run))
    dataset = load_data(original, data_dir())
    settings = {
        **dict(cfg),
        **original.training.params,
        "dataset": dataset.name,  # the same images can have another name here
        "reproduce": run.run_id,
        "run_name": cfg.run_name or f"{run.name} again",
    }
    try:
        cfg = validate(TrainConfig, settings, choices=cfg.choices)
    except ConfigError as error:
        message = f"run {run.run_id} cannot be reproduced: {error}"
        raise UserError(message) from None
    training = _train(cfg, dataset, tracker, on_epoch, original.training.sha256)
    say(f"\n{compare(original, training)}")
    command = command_line("inspect", run=run.run_id[:8])
    say(next_steps({command: "explains the network"}))
    return training


def _train(
    cfg: TrainConfig,
    dataset: Dataset,
    tracker: Tracker[OpenRun],
    on_epoch: OnEpoch | None,
    expected: str | None = None,
) -> TrainResult:
    """Train a network and write the results; a reproduction has an `expected` hash."""
    hyperparameters = cfg.hyperparameters()
    split = dataset.training_split(hyperparameters)
    state = TrainingState.initial(hyperparameters)
    folder = results_dir("reproduce" if cfg.reproduce else TRAINING_FOLDER)
    name = cfg.run_name or run_name(dict(cfg))
    network = state.network
    say(f"{name}: {network.sizes}, {network.parameter_count:,} parameters")
    if cfg.is_tracked:
        prepare_export(cfg.hidden)  # in another process, alongside training
    with (
        open_checkpoint(
            store_dir(),
            fingerprint(hyperparameters, dataset.sha256),
            _place(cfg),
            state,
            resume=cfg.resume,
        ) as checkpoint,
        _start_run(cfg, dataset, checkpoint, tracker, name) as run,
        delayed_interrupt() as interrupt,
    ):
        numbers = interrupt.between(range(len(checkpoint.epochs), cfg.epochs + 1))
        trained = fit(state, split, hyperparameters, epochs=numbers)
        for epoch in print_epochs(trained, total=cfg.epochs):
            checkpoint.save(epoch)  # `fit` waits, so `state` belongs to this epoch
            run.submit(log_epoch, epoch, cfg.epochs)
            if on_epoch:
                on_epoch(deepcopy(epoch))  # the function may change its arrays
        training = TrainingRun.of(dataset, split, hyperparameters, checkpoint.epochs)
        _write(training, folder, run, expected)
    print_summary(training, split.val)
    say(f"weights.sha256 {training.sha256}\nfiles  {displayed(folder)}")
    say(run.viewing_hint(), end="")
    interrupt.check("stopped after training was finished")
    if run.artifacts and not own_folder():  # another training run replaces `folder`
        folder = run.artifacts / TRAINING_FOLDER
    return TrainResult(
        **vars(training), folder=folder, run_id=run.run_id, copied=run.copied
    )


def _place(cfg: TrainConfig) -> dict[str, Any]:
    """Return where a training run is computed and recorded; resumed runs must match."""
    return {
        "processor": processor(),
        "dataset": cfg.dataset,
        "experiment": experiment_of(cfg.experiment_name) if cfg.is_tracked else None,
        "reproduces": cfg.reproduce,
        "choices": dict(sorted(cfg.choices.items())),  # the run has them as tags
    }


@contextmanager
def _start_run(
    cfg: TrainConfig,
    dataset: Dataset,
    checkpoint: Checkpoint,
    tracker: Tracker[OpenRun],
    name: str,
) -> Iterator[OpenRun]:
    """Open the run that a checkpoint belongs to, or a new one; record its inputs."""
    tags = training_tags(cfg.hyperparameters(), dataset.sha256)
    tags[CHECKPOINT_TAG] = checkpoint.id
    if cfg.reproduce:
        tags[REPRODUCES_TAG] = cfg.reproduce
    wanted = [checkpoint.id] if cfg.is_tracked else []
    killed = next(iter(tagged_runs(store_dir(), CHECKPOINT_TAG, wanted)), None)
    with tracker.start_run(
        name=name,
        params=params_of(dict(cfg)),
        tags=cfg.choices | tags,
        resume=killed.run_id if killed else None,
    ) as run:
        data, code = (dataset.path, dataset.sha256), code_hashes()
        run.submit(log_inputs, data, as_yaml(cfg), code, plots=True)
        for epoch in checkpoint.epochs:  # the last one may not be logged
            run.submit(log_epoch, epoch, cfg.epochs)
        if last := checkpoint.epochs[-1].number:
            label, experiment = (killed or run).label, _place(cfg)["experiment"]
            where = f" in experiment {experiment}" if experiment else ""
            say(wrap(f"resuming {label} after epoch {last} of {cfg.epochs}{where}"))
        yield run


def _write(
    training: TrainingRun, folder: Path, run: OpenRun, expected: str | None
) -> None:
    """Write and record the results; a reproduction also gets the tag `reproduced`."""
    message = "writing and recording the trained network"
    with status(message), files.atomic_folder(folder) as temporary:
        record_result(run, training, temporary)
        run.submit(log_files, sorted(temporary.iterdir()))
        if run.is_recorded:
            record_model(run, training, temporary / MODEL_FILE)
        if expected:
            run.submit(log_comparison, training.sha256 == expected)
        run.wait()
