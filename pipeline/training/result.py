"""The result of the train stage, for callers from Python."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.text import short_repr
from pipeline.records.metric_names import FINAL_ACCURACY, VAL_ACCURACY
from pipeline.records.run_files import with_numbers
from pipeline.training.training_run import TrainingRun


@dataclass(frozen=True, eq=False)
class TrainResult(TrainingRun):
    """The result of the train stage: a training run, and where it is recorded."""

    folder: Path  # the folder of the files; see `ResultsFolder.lasting_folder`
    run_id: str | None  # the ID of the MLflow run; None without a recorded run
    copied: bool | None  # whether the server has a complete copy; None without a server

    def __repr__(self) -> str:
        """Return a short description, because the fields contain all epochs."""
        return short_repr(
            self,
            val_accuracy=self.metrics[VAL_ACCURACY],
            train_accuracy=self.metrics[FINAL_ACCURACY],
            run_id=self.run_id,
            folder=self.folder,
        )

    def to_frame(self) -> Any:  # noqa: ANN401
        """Return the metrics after each epoch, the content of history.csv.

        The result is a pandas DataFrame; pandas has no type hints.
        """
        from pandas import DataFrame  # a slow import

        return DataFrame(with_numbers(self.history))
