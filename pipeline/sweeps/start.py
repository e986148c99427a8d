"""Opens a sweep: what the call says, and what earlier processes have recorded.

This module runs in the main process, before the workers are started.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline import datasets
from pipeline.base import locking
from pipeline.base.locking import Level
from pipeline.base.terminal import say
from pipeline.base.text import wrap
from pipeline.cli import Command, CommonSweepConfig, TrainConfig
from pipeline.core.dataset import DataFile
from pipeline.execution.workers import check_executor
from pipeline.sweeps.jobs import Job, OnResult
from pipeline.sweeps.listing import list_jobs
from pipeline.sweeps.naming import sweep_id, sweep_name
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.recorded import RecordedSweep, ReusableRuns
from pipeline.tracking import (
    announce_kept_name,
    provenance,
    recorded_params,
)
from pipeline.training.size import sweep_bytes

UNTRACKED = (
    "With tracking=none, no results are recorded: if this sweep is "
    "interrupted, the same command starts from the beginning."
)


@dataclass(frozen=True)
class SweepCall:
    """What a sweep is called with, and the state of the program at that time.

    `on_result` can change the environment, and the user can change the code.
    """

    cfg: CommonSweepConfig  # the settings that all jobs have in common
    store: Path  # the folder of the store
    caller_folder: Path | None  # gets copies of table and plot, in a call from Python
    experiment: str | None  # see `recorded_in` of `cfg`
    code: provenance.CodeState  # for all training runs
    on_result: OnResult  # is called with each outcome


@dataclass(frozen=True)
class Sweep:
    """An open sweep: its plan, and what earlier processes have recorded."""

    call: SweepCall
    name: str  # the name of the run
    folder: Path  # for table and plot; for networks too, if nothing is recorded
    plan: Plan  # gets each outcome while the sweep runs
    recorded: RecordedSweep
    reusable: ReusableRuns

    @property
    def is_finished(self) -> bool:
        """Whether an earlier process finished this sweep, and no job is missing."""
        return self.recorded.is_finished and self.plan.ended == self.plan.size

    @property
    def disk_space(self) -> int:
        """The bytes of the results of all jobs that are not recorded yet."""
        plan = self.plan
        return sweep_bytes(
            (job.hyperparameters for job in (*plan.trainable, *plan.examples())),
            patch_bytes=len(self.call.code.diff.encode(errors="surrogateescape")),
        )


@contextmanager
def open_sweep(
    command: Command[TrainConfig],
    on_result: OnResult,
    *,
    store: Path,
    data: Path,
    caller_folder: Path | None,
) -> Iterator[Sweep]:
    """Find out which jobs a sweep has, and which earlier processes have trained.

    In the block, no other process runs the same sweep.
    """
    cfg = command.config
    call = SweepCall(
        cfg,
        store=store,
        caller_folder=caller_folder,
        experiment=cfg.recorded_in,
        code=provenance.code_state(),
        on_result=on_result,
    )
    jobs = list_jobs(command, lambda name: _prepare(name, data, cfg.executor))
    identifier = sweep_id(
        jobs, command.intervals, experiment=call.experiment, again=cfg.again
    )
    folder = store / "sweeps" / identifier
    with _locked(folder):
        recorded = _read_recorded(identifier, cfg, store)
        name = cfg.run_name or sweep_name(jobs, command.intervals)
        if recorded.run:
            name = recorded.run.name
        _announce(name, cfg)
        yield Sweep(
            call,
            name,
            # With tracking=none, the networks are in the folder; nothing is continued.
            folder=folder if cfg.is_recorded else caller_folder or folder,
            plan=_plan(command, jobs, recorded, store),
            recorded=recorded,
            reusable=ReusableRuns(store if cfg.is_recorded and not cfg.again else None),
        )


def _prepare(dataset: str, folder: Path, executor: str) -> DataFile:
    """Return the file of a data set.

    An executor that cannot start is rejected before a data set is fetched. If there is
    a data file, jobs may have been trained earlier, and may need no executor.
    """
    if datasets.is_name(dataset) and not (folder / f"{dataset}.safetensors").exists():
        check_executor(executor)
    return datasets.prepare(dataset, folder=folder).file


def _locked(folder: Path) -> AbstractContextManager[None]:
    """Wait until no other process runs the sweep of a folder."""
    waiting = "waiting for another process that is running the same sweep"
    lock = folder.with_name(f".{folder.name}.lock")
    return locking.lock(lock, Level.SWEEP, waiting=waiting)


def _read_recorded(
    identifier: str, cfg: CommonSweepConfig, store: Path
) -> RecordedSweep:
    """Return the sweep to continue; it is empty if a new sweep starts."""
    if cfg.is_recorded:
        earlier = RecordedSweep.read(store, identifier)
        if not (cfg.again and earlier.is_finished):
            return earlier
    return RecordedSweep(identifier)


def _announce(name: str, cfg: CommonSweepConfig) -> None:
    """Print the name of a sweep, before steps that take time."""
    say(wrap(f"sweep {name}"), flush=True)
    announce_kept_name(name, cfg.run_name)
    if not cfg.is_recorded:
        say(wrap(UNTRACKED, indent=0), flush=True)


def _plan(
    command: Command[TrainConfig],
    jobs: Sequence[Job],
    recorded: RecordedSweep,
    store: Path,
) -> Plan:
    """Return the jobs, and the outcomes of jobs that earlier processes trained."""
    plan = Plan(jobs)
    if command.intervals:
        from pipeline.sweeps.search import Search  # Optuna takes half a second

        trials = command.config.trials
        assert trials  # a search without trials is rejected by `cli.rules`
        children = recorded_params(store, recorded.children)
        plan = Search(jobs, command.intervals, trials, children)
    for outcome in filter(None, map(recorded.outcome, plan.jobs)):
        plan.add(outcome)
    return plan
