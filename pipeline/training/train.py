"""The command train: trains a network or reproduces a run, and records every epoch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

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
from pipeline.training.recording import record_details, record_result
from pipeline.training.reproduction import Original, compare, load_data
from pipeline.training.training_run import TrainingRun, TrainResult, training_tags

NEXT = {
    command_line("evaluate"): "evaluates the network",
    command_line("predict", "images=0"): "classifies test image 0",
    command_line("inspect"): "writes an interactive page",
}
OpenTracker = Callable[[], Tracker[OpenRun]]
OnEpoch = Callable[[Epoch], object]


def train(
    cfg: TrainConfig, open_tracker: OpenTracker, on_epoch: OnEpoch | None = None
) -> TrainResult:
    """Train a network, or reproduce a run; call `on_epoch` after each epoch."""
    with one_thread():
        if cfg.reproduce:
            return _reproduce(cfg, open_tracker, on_epoch)
        file = datasets.prepare(cfg.dataset, folder=data_dir())
        dataset = Dataset.read(file.path)
        cfg = cfg.model_copy(update={"dataset": dataset.name})  # it may be a folder
        training = _train(cfg, dataset, open_tracker, on_epoch)
    say(next_steps(NEXT))
    return training


def _reproduce(
    cfg: TrainConfig, open_tracker: OpenTracker, on_epoch: OnEpoch | None
) -> TrainResult:
    """Train a recorded run again, and compare the two networks.

    Raises:
        UserError: If the run or its data are not available, or the networks differ.
    """
    with status("reading the recorded run"):
        run = find_training_run(str(cfg.reproduce), store=store_dir())
        original = Original(run, TrainingRun.read(run))
    dataset = load_data(original, data_dir())
    # The same images can have another name here.
    recorded = original.training.params | {"dataset": dataset.name}
    try:
        cfg = validate(TrainConfig, dict(cfg) | recorded, choices=cfg.choices)
    except ConfigError as error:
        message = f"run {run.run_id} cannot be reproduced: {error}"
        raise UserError(message) from None
    training = _train(cfg, dataset, open_tracker, on_epoch, original)
    say(f"\n{compare(original, training)}")
    command = command_line("inspect", run=run.run_id[:8])
    say(next_steps({command: "explains the network"}))
    return training


def _train(
    cfg: TrainConfig,
    dataset: Dataset,
    open_tracker: OpenTracker,
    on_epoch: OnEpoch | None,
    original: Original | None = None,
) -> TrainResult:
    """Train a network and write the results; `original` is the run to reproduce."""
    hyperparameters = cfg.hyperparameters()
    split = dataset.training_split(hyperparameters)
    state = TrainingState.initial(hyperparameters)
    folder = results_dir("reproduce" if original else TRAINING_FOLDER)
    default_name = f"{original.run.name} again" if original else run_name(dict(cfg))
    name = cfg.run_name or default_name
    network = state.network
    say(f"{name}: {network.sizes}, {network.parameter_count:,} parameters")
    if cfg.is_tracked:
        prepare_export(cfg.hidden)  # in another process, alongside training
    with (
        open_checkpoint(
            store_dir(),
            fingerprint(hyperparameters, dataset.sha256),
            _place(cfg, dataset, original),
            state,
            resume=cfg.resume,
        ) as checkpoint,
        _open_run(cfg, dataset, checkpoint, name, open_tracker, original) as run,
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
        _write(training, folder, run, original)
    print_summary(training, split.val)
    say(f"weights.sha256 {training.sha256}\nfiles  {displayed(folder)}")
    say(run.viewing_hint(), end="")
    interrupt.check("stopped after training was finished")
    if run.artifacts and not own_folder():  # another training run replaces `folder`
        folder = run.artifacts / TRAINING_FOLDER
    return TrainResult(
        **vars(training), folder=folder, run_id=run.id, copied=run.copied
    )


def _place(
    cfg: TrainConfig, dataset: Dataset, original: Original | None
) -> dict[str, str | None]:
    """Return where a training run is computed and recorded; resumed runs must match."""
    return {
        "processor": processor(),
        "dataset": dataset.name,
        "experiment": experiment_of(cfg.experiment_name) if cfg.is_tracked else None,
        "reproduces": original.run.run_id if original else None,
    }


@contextmanager
def _open_run(
    cfg: TrainConfig,
    dataset: Dataset,
    checkpoint: Checkpoint,
    name: str,
    open_tracker: OpenTracker,
    original: Original | None,
) -> Iterator[OpenRun]:
    """Open the run that a checkpoint belongs to, or a new one; record its inputs."""
    hyperparameters, store = cfg.hyperparameters(), store_dir()
    tags = training_tags(hyperparameters, dataset.sha256)
    tags[CHECKPOINT_TAG] = checkpoint.id
    if original:
        tags[REPRODUCES_TAG] = original.run.run_id
    wanted = [checkpoint.id] if cfg.is_tracked else []
    killed = next(iter(tagged_runs(store, CHECKPOINT_TAG, wanted)), None)
    with open_tracker().start_run(
        name=name,
        params=params_of(dict(cfg)),
        tags=cfg.choices | tags,
        resume=killed.run_id if killed else None,
    ) as run:
        run.submit(
            log_inputs,
            dataset.path,
            dataset.sha256,
            as_yaml(cfg),
            code_hashes(),
            plots=True,
        )
        for epoch in checkpoint.epochs:  # the last one may not be logged
            run.submit(log_epoch, epoch, cfg.epochs)
        if last := checkpoint.epochs[-1].number:
            label = (killed or run).label
            where = f" in experiment {experiment_of(cfg.experiment_name)}"
            text = f"resuming {label} after epoch {last} of {cfg.epochs}"
            say(wrap(text + (where if cfg.is_tracked else "")))
        yield run


def _write(
    training: TrainingRun, folder: Path, run: OpenRun, original: Original | None
) -> None:
    """Write and record the results; a reproduction also gets the tag `reproduced`."""
    message = "writing and recording the trained network"
    with status(message), files.atomic_folder(folder) as temporary:
        record_result(run, training, temporary)
        run.submit(log_files, sorted(temporary.iterdir()))
        if run.id is not None:
            record_details(run, training, temporary / MODEL_FILE)
        if original:
            run.submit(log_comparison, training.sha256 == original.training.sha256)
        run.wait()
