"""A running sweep: the arguments of its call, its plan, and earlier results."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.base.files import atomic_folder
from pipeline.cli import CommonTrainConfig
from pipeline.sweeps.jobs import Job, OnResult
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.recorded import Processors, RecordedSweep, ReusableRuns
from pipeline.sweeps.report_text import print_report
from pipeline.sweeps.result import SweepResult, report_files
from pipeline.tracking import RecordedRun, Tracker
from pipeline.training.size import model_bytes, run_bytes


@dataclass(frozen=True)
class RunningSweep:
    """A sweep that this process finishes.

    `cfg`, `tracker` and the folders are made before the first call to `on_result`,
    which can change the environment.
    """

    cfg: CommonTrainConfig  # the settings that all jobs have in common
    tracker: Tracker  # its code state applies to all training runs
    on_result: OnResult  # is called with each outcome
    name: str  # the name of the run
    folder: Path  # for table and plot; for networks too, if nothing is recorded
    call_folder: Path | None  # `Command.folder`, which gets copies of table and plot
    plan: Plan  # gets each outcome while the sweep runs
    recorded: RecordedSweep
    reusable: ReusableRuns

    @property
    def finished_run(self) -> RecordedRun | None:
        """The run of the sweep, if it is finished and no results were lost later."""
        is_complete = self.plan.ended == self.plan.total
        return self.recorded.run if self.recorded.is_finished and is_complete else None

    @property
    def other_folder(self) -> str:
        """What a message adds if a sweep must start again in another folder.

        If nothing is recorded, the folder of the call has the first networks, and a
        call rejects a folder that is not empty.
        """
        return " with another folder" if self.folder == self.call_folder else ""

    def to_train(self, processors: Processors) -> list[Job]:
        """Return the jobs that a worker must train on one of the processors.

        These are the missing jobs that reuse no run, and all stand-ins.
        """
        plan, runs = self.plan, self.reusable.runs
        new = [job for job in plan.missing if not runs(job, processors)]
        return [*new, *plan.stand_ins]

    def copy_and_print(self, result: SweepResult, hint: str) -> SweepResult:
        """Copy the files of a result to the folder of the call, if any; print a report.

        `folder` keeps the files, so that the same call can continue the sweep. The
        report is printed even if the other folder cannot be written.

        Args:
            result: The result of the sweep, with the files in `folder`.
            hint: How to view the run of the sweep.

        Returns:
            The result, with the folder in which the caller finds the files.
        """
        try:
            if self.call_folder and self.call_folder != self.folder:
                # The folder was empty. Files that another program has added since then
                # are not replaced.
                with atomic_folder(self.call_folder, replace=False) as new:
                    for path in report_files(self.folder):
                        shutil.copy2(path, new)
                result = replace(result, folder=self.call_folder)
        finally:
            print_report(result, hint)
        return result

    @property
    def disk_space(self) -> int:
        """The size in bytes of the results of all jobs that are not recorded yet."""
        diff = self.tracker.read_code().diff.encode(errors="surrogateescape")
        jobs = [job.hyperparameters for job in self.plan.remaining]
        best = max(map(model_bytes, jobs), default=0)  # of the largest network
        return sum(map(run_bytes, jobs)) + len(diff) * len(jobs) + best
