"""The files of a training run that has ended, in its folder.

`model.storage` and `records.run_files` have the format of each file.
"""

from pathlib import Path

from pipeline import UserError
from pipeline.base.csv_files import to_rows
from pipeline.core.epoch import Epoch
from pipeline.model import load_history_files, load_recorded_network, storage
from pipeline.records import file_names, run_files
from pipeline.records.metric_names import EPOCH_METRICS, FINAL_TRAIN
from pipeline.records.run_files import RESTORE, belongs_elsewhere
from pipeline.tracking import RecordedRun
from pipeline.training.training_run import TrainingRun


def write_training_run(
    training: TrainingRun, folder: Path, *, run_id: str | None
) -> None:
    """Write all files to an existing folder; `read_training_run` is the inverse.

    Equal training runs write equal files, except for run.json (ID and times). `train`
    writes to the folder of its results and copies the files to the artifacts of its run
    with `log_files`. A sweep, whose training runs have no such folder, writes directly
    to the artifacts of a child.
    """
    metadata, epochs = training.metadata, training.epochs
    storage.save_network(folder / file_names.MODEL_FILE, training.network, metadata)
    tensors = [epoch.tensors for epoch in epochs]
    path = folder / file_names.WEIGHT_HISTORY_FILE
    storage.save_weight_history(path, tensors)
    run_files.write_history(folder / file_names.HISTORY_FILE, training.history)
    run_files.write_metrics(folder / file_names.METRICS_FILE, training.metrics)
    run_file = run_files.RunFile(
        run_id,
        seconds=[epoch.seconds for epoch in epochs[1:]],
        times=[epoch.time for epoch in epochs],
    )
    run_files.write_run_file(folder / file_names.RUN_FILE, run_file)


def read_training_run(run: RecordedRun) -> TrainingRun:
    """Read the files of a recorded training run.

    Raises:
        UserError: If a file is missing, damaged or from another training run.
            `load_recorded_network` checks that the network belongs to the run.
    """
    folder = run.network_path.parent
    files = [folder / name for name in file_names.TRAINING_FILES]
    if missing := [path.name for path in files if not path.is_file()]:
        raise UserError(
            f"{folder} must contain all files of a training run, "
            f"but {missing[0]} is missing: {RESTORE}"
        )
    trained = load_recorded_network(run)
    histories = load_history_files(trained)
    weights, history = histories.weights, histories.metrics
    if (metadata := trained.metadata) is None:
        raise UserError(
            f"{trained.path} must record the data set and the hyperparameters of its "
            f"training run: {RESTORE}"
        )
    assert weights is not None and history is not None  # their files exist
    if lost := [name for name in EPOCH_METRICS if name not in history]:
        path = folder / file_names.HISTORY_FILE
        raise UserError(f"{path} must have a column {lost[0]}: {RESTORE}")
    metrics = [{}, *to_rows(history)]  # epoch 0 has neither metrics nor seconds
    scores = run_files.read_metrics(folder / file_names.METRICS_FILE)
    if not scores.items() >= metrics[-1].items():
        raise belongs_elsewhere(folder / file_names.METRICS_FILE)
    run_file = run_files.read_run_file(folder / file_names.RUN_FILE)
    seconds = [0.0, *run_file.seconds]
    if len(seconds) != len(metrics):
        raise belongs_elsewhere(folder / file_names.RUN_FILE)
    return TrainingRun(
        metadata,
        epochs=[
            Epoch(
                {name: stacked[number] for name, stacked in weights.items()},
                number=number,
                metrics=measured,
                seconds=seconds[number],
                time=run_file.times[number],
            )
            for number, measured in enumerate(metrics)
        ],
        final_metrics={
            name: x for name, x in scores.items() if name.startswith(FINAL_TRAIN)
        },
    )
