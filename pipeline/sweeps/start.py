"""A sweep before its run is opened, without MLflow and PyTorch."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.sweeps.plan import Plan
from pipeline.sweeps.recorded_sweep import RecordedSweep
from pipeline.sweeps.reuse import ReusableRuns
from pipeline.tracking.provenance import CodeState


@dataclass(frozen=True)
class SweepStart:
    """What `train_sweep` passes to `record_sweep`, which opens the run."""

    store: Path  # the folder of the store; `on_result` can change what is current
    plan: Plan
    recorded: RecordedSweep
    reusable: ReusableRuns
    name: str  # of the run
    folder: Path  # of the table and the plot; of networks, too, if nothing is recorded
    code: CodeState  # when the command started
