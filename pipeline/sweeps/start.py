"""The start of a sweep: its plan, and the record of earlier processes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline import datasets
from pipeline.base import locking
from pipeline.base.locking import Level
from pipeline.base.terminal import say
from pipeline.base.text import wrap
from pipeline.cli import Command, CommonSweepConfig, TrainConfig
from pipeline.sweeps.jobs import Job, OnResult
from pipeline.sweeps.listing import list_jobs, sweep_id, sweep_name
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
class SweepStart:
    """The state of a sweep before its run is opened."""

    cfg: CommonSweepConfig  # the settings that all jobs have in common
    store: Path  # the folder of the store; `on_result` can change the variables
    plan: Plan
    recorded: RecordedSweep
    reusable: ReusableRuns
    experiment: str | None  # the experiment of the run; None if nothing is recorded
    name: str  # the name of the run
    folder: Path  # for table and plot; for networks too, if nothing is recorded
    own_folder: Path | None  # for copies of table and plot, in a call from Python
    code: provenance.CodeState  # the code when the command started
    on_result: OnResult  # is called with each outcome

    @property
    def disk_space(self) -> int:
        """The bytes of the results of all jobs that are not recorded yet."""
        plan = self.plan
        return sweep_bytes(
            (job.hyperparameters for job in (*plan.trainable, *plan.examples())),
            patch_bytes=len(self.code.diff.encode(errors="surrogateescape")),
        )


@contextmanager
def start_sweep(
    command: Command[TrainConfig],
    on_result: OnResult,
    *,
    store: Path,
    data: Path,
    own_folder: Path | None,
) -> Iterator[SweepStart]:
    """Find out which jobs a sweep has, and which earlier processes have trained.

    In the block, no other process runs the same sweep.
    """
    cfg = command.config
    code = provenance.code_state()  # for all training runs; files may change later
    experiment = cfg.recorded_in  # the variable may change later too
    jobs = list_jobs(command, lambda name: datasets.prepare(name, folder=data).file)
    identifier = sweep_id(
        jobs, command.intervals, experiment=experiment, again=cfg.again
    )
    folder = store / "sweeps" / identifier
    lock = folder.with_name(f".{identifier}.lock")
    if not cfg.is_recorded:  # the networks are in the folder; nothing is continued
        folder = own_folder or folder
    waiting = "waiting for another process that is running the same sweep"
    with locking.lock(lock, Level.SWEEP, waiting=waiting):
        recorded = RecordedSweep(identifier)
        if cfg.is_recorded:
            earlier = RecordedSweep.read(store, identifier)
            if not (cfg.again and earlier.is_finished):
                recorded = earlier
        name = cfg.run_name or sweep_name(jobs, command.intervals)
        if recorded.run:
            name = recorded.run.name
        say(wrap(f"sweep {name}"), flush=True)
        announce_kept_name(name, cfg.run_name)
        if not cfg.is_recorded:
            say(wrap(UNTRACKED, indent=0), flush=True)
        yield SweepStart(
            cfg=cfg,
            store=store,
            plan=_plan(command, jobs, recorded, store),
            recorded=recorded,
            reusable=ReusableRuns(store if cfg.is_recorded and not cfg.again else None),
            experiment=experiment,
            name=name,
            folder=folder,
            own_folder=own_folder,
            code=code,
            on_result=on_result,
        )


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
