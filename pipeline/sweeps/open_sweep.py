"""An open sweep: the arguments of its call, its plan, and earlier results."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.base.results_folder import ResultsFolder
from pipeline.cli import CommonTrainConfig
from pipeline.sweeps.jobs import Job, OnResult
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.recorded import Processors, RecordedSweep, ReusableRuns
from pipeline.tracking import Tracker
from pipeline.training.size import weight_history_bytes

# Files and database rows of a child run without its weights. Measured with 20 epochs:
# 144,000 bytes.
RUN_BYTES = 150_000
BEST_BYTES = 5_000_000  # images and program of the best network, table and plot


@dataclass(frozen=True)
class OpenSweep:
    """A sweep that this process finishes.

    `cfg`, `tracker` and `results` are made before the first call of `on_result`, which
    can change the environment: they determine the store, the server and the folders.
    """

    cfg: CommonTrainConfig  # the settings that all jobs have in common
    tracker: Tracker  # its code state applies to all training runs
    results: ResultsFolder  # a folder of a call from Python gets table and plot
    on_result: OnResult  # is called with each outcome
    name: str  # the name of the run
    folder: Path  # for table and plot; for networks too, if nothing is recorded
    plan: Plan  # gets each outcome while the sweep runs
    recorded: RecordedSweep
    reusable: ReusableRuns

    def to_train(self, processors: Processors) -> list[Job]:
        """Return the jobs that a worker must train on one of the processors.

        These are the missing jobs that reuse no run, and all upcoming jobs.
        """
        plan, runs = self.plan, self.reusable.runs
        new = [job for job in plan.missing if not runs(job, processors)]
        return [*new, *plan.upcoming]

    @property
    def disk_space(self) -> int:
        """The size in bytes of the results of all jobs that are not recorded yet."""
        plan, diff = self.plan, self.tracker.read_code().diff
        others = RUN_BYTES + len(diff.encode(errors="surrogateescape"))
        sizes = [
            weight_history_bytes(job.hyperparameters) + 4 * job.parameter_count + others
            for job in (*plan.missing, *plan.upcoming)
        ]
        return sum(sizes) + (BEST_BYTES if sizes else 0)
