"""The state of a sweep before its run is opened.

Importing this module does not import MLflow or PyTorch.
"""

from dataclasses import dataclass
from pathlib import Path

from pipeline.sweeps.plan import Plan
from pipeline.sweeps.recorded_sweep import RecordedSweep
from pipeline.sweeps.reuse import ReusableRuns
from pipeline.tracking.provenance import CodeState
from pipeline.training.size import sweep_bytes


@dataclass(frozen=True)
class SweepStart:
    """The state that `train_sweep` has found before it opens the run."""

    store: Path  # the folder of the store; `on_result` can change the variables
    plan: Plan
    recorded: RecordedSweep
    reusable: ReusableRuns
    experiment: str | None  # the experiment of the run; None if nothing is recorded
    name: str  # the name of the run
    folder: Path  # for table and plot; for networks too, if nothing is recorded
    own_folder: Path | None  # for copies of table and plot, in a call from Python
    code: CodeState  # the code when the command started

    @property
    def disk_space(self) -> int:
        """The bytes of the results of all jobs that are not recorded yet."""
        plan = self.plan
        return sweep_bytes(
            (job.hyperparameters for job in (*plan.trainable, *plan.examples())),
            patch_bytes=len(self.code.diff.encode(errors="surrogateescape")),
        )
