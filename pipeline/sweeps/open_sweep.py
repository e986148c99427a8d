"""An open sweep: the arguments of its call, its plan, and earlier results."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.base.results_folder import ResultsFolder
from pipeline.cli import CommonTrainConfig
from pipeline.sweeps.jobs import Job, OnResult
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.recorded import Processors, RecordedSweep, ReusableRuns
from pipeline.sweeps.report_text import print_report
from pipeline.sweeps.result import SweepResult, written_files
from pipeline.tracking import Tracker
from pipeline.training.size import sweep_bytes


@dataclass(frozen=True)
class OpenSweep:
    """A sweep that this process finishes.

    `cfg`, `tracker` and `results` are made before the first call of `on_result`, which
    can change the environment: they determine the store, the server and the folders.
    """

    cfg: CommonTrainConfig  # the settings that all jobs have in common
    tracker: Tracker  # has read the code, for all training runs
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
        """The bytes of the results of all jobs that are not recorded yet."""
        plan, diff = self.plan, self.tracker.read_code().diff
        return sweep_bytes(
            (job.hyperparameters for job in (*plan.missing, *plan.upcoming)),
            patch_bytes=len(diff.encode(errors="surrogateescape")),
        )

    def show(self, result: SweepResult, hint: str) -> SweepResult:
        """Print the report, and give its files to the caller.

        The report is printed even if the caller's folder cannot be written. `hint` says
        how to view the run.

        Returns:
            The result, with the folder in which the caller finds the files.
        """
        try:
            result = replace(result, folder=self._give_to_caller())
        finally:
            print_report(result, hint)
        return result

    def _give_to_caller(self) -> Path:
        """Copy the files of the report to the folder that was given to the call.

        The folder of the sweep keeps the files, so that the same call can continue the
        sweep.
        """
        if self.results.given in (None, self.folder):
            return self.folder
        with self.results.new() as new:
            for path in written_files(self.folder):
                shutil.copy2(path, new)
        return self.results.path
