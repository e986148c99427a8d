"""The command train: trains a network or reproduces a run, and records every epoch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

from pipeline import ConfigError, UserError, datasets, files
from pipeline.call import own_folder, results_dir, say
from pipeline.cli import TrainConfig, as_yaml, run_name, validate
from pipeline.core.dataset import Dataset
from pipeline.core.epoch import Epoch
from pipeline.core.fingerprint import code_hashes, processor
from pipeline.core.loop import TrainingState, fit
from pipeline.core.threads import one_thread
from pipeline.execution.interrupt import delayed_interrupt
from pipeline.model.program import prepare_export
from pipeline.model.storage import params_of
from pipeline.paths import (
    MODEL_FILE,
    TRAINING_FOLDER,
    data_dir,
    displayed,
    store_dir,
)
from pipeline.terminal import command_line, next_steps, status, wrap
from pipeline.tracking import (
    OpenRun,
    Tracker,
    experiment_of,
    find_training_run,
    tagged_runs,
)
from pipeline.tracking.tags import CHECKPOINT_TAG, FINGERPRINT_TAG, REPRODUCES_TAG
from pipeline.training.checkpoints import Checkpoint, open_checkpoint
from pipeline.training.log import (
    log_comparison,
    log_epoch,
    log_files,
    log_inputs,
)
from pipeline.training.printing import print_epochs, print_summary
from pipeline.training.reproduction import Original, compare, load_data
from pipeline.training.results import add_details, add_result
from pipeline.training.run import TrainingRun, TrainResult, training_tags

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
        path, _ = datasets.prepare(cfg.dataset, folder=data_dir())
        dataset = Dataset.read(path)
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
    recorded = original.training.params
    name = {"dataset": recorded.pop("dataset")}
    try:
        cfg = validate(TrainConfig, dict(cfg) | recorded).model_copy(update=name)
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
    with (
        _open_run(cfg, dataset, state, open_tracker, original) as opened,
        delayed_interrupt() as interrupt,
    ):
        run, checkpoint, epochs = opened
        numbers = interrupt.between(range(len(epochs), cfg.epochs + 1))
        fitted = fit(state, split, epochs=numbers, batch_size=cfg.batch_size)
        for epoch in print_epochs(fitted, total=cfg.epochs):
            checkpoint.save(epoch)  # `fit` waits, so `state` belongs to this epoch
            epochs.append(epoch)
            run.submit(log_epoch, epoch, cfg.epochs)
            if on_epoch:
                on_epoch(deepcopy(epoch))  # the function may change its arrays
        training = TrainingRun.of(dataset, split, hyperparameters, epochs)
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


@contextmanager
def _open_run(
    cfg: TrainConfig,
    dataset: Dataset,
    state: TrainingState,
    open_tracker: OpenTracker,
    original: Original | None,
) -> Iterator[tuple[OpenRun, Checkpoint, list[Epoch]]]:
    """Open the run and the checkpoint of a killed training run, or of a new one.

    Yields:
        The run, the checkpoint, and the epochs that are already trained, from 0;
        `state` is that after the last of them.
    """
    hyperparameters, store = cfg.hyperparameters(), store_dir()
    network, name = state.network, _name(cfg, original)
    say(f"{name}: {network.sizes}, {network.parameter_count:,} parameters")
    if cfg.is_tracked:
        prepare_export(cfg.hidden)  # another process does this during training
    tags = training_tags(hyperparameters, dataset.sha256)
    if original:
        tags[REPRODUCES_TAG] = original.run.run_id
    place = _place(cfg, dataset, original)
    with open_checkpoint(
        store, tags[FINGERPRINT_TAG], place, state, resume=cfg.resume
    ) as checkpoint:
        epochs = checkpoint.resume()
        wanted = [checkpoint.id] if cfg.is_tracked else []
        killed = tagged_runs(store, CHECKPOINT_TAG, wanted)
        with open_tracker().start_run(
            name=name,
            params=params_of(dataset.name, hyperparameters),
            tags=cfg.choices | tags | {CHECKPOINT_TAG: checkpoint.id},
            resume=killed[0].run_id if killed else None,
        ) as run:
            inputs = dataset.path, dataset.sha256, as_yaml(cfg), code_hashes()
            run.submit(log_inputs, *inputs, plots=True)
            for epoch in epochs:  # it may have been killed before it logged the last
                run.submit(log_epoch, epoch, cfg.epochs)
            if epochs[-1].number:
                label = killed[0].label if killed else run.label
                _say_resumed(label, epochs[-1], cfg.epochs, place["experiment"])
            yield run, checkpoint, epochs


def _say_resumed(label: str, last: Epoch, total: int, experiment: str | None) -> None:
    """Print which run is resumed; `experiment` is None if it is not recorded."""
    where = f" in experiment {experiment}" if experiment else ""
    say(wrap(f"resuming {label} after epoch {last.number} of {total}{where}"))


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


def _name(cfg: TrainConfig, original: Original | None) -> str:
    """Return the name of the run."""
    if cfg.run_name:
        return cfg.run_name
    if original:
        return f"{original.run.name} again"
    return run_name(dict(cfg))


def _write(
    training: TrainingRun, folder: Path, run: OpenRun, original: Original | None
) -> None:
    """Write and log the results; a reproduction also gets the tag `reproduced`."""
    message = "writing and recording the trained network"
    with status(message), files.atomic_folder(folder) as temporary:
        training.write(temporary, run_id=run.id)
        run.submit(log_files, sorted(temporary.iterdir()))
        add_result(run, training)
        if run.id is not None:
            add_details(run, training, temporary / MODEL_FILE)
        if original:
            run.submit(log_comparison, training.sha256 == original.training.sha256)
        run.wait()
