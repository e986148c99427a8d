"""The command train -m: many training runs under one parent run, with one report.

After an interruption of any kind, the same command continues the sweep, because the
children of the run in MLflow record which jobs are trained. The files are in
outputs/sweeps/<key>/. This module starts the workers before it imports `missing_jobs`,
which imports PyTorch.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline import UserError, datasets
from pipeline.base import locking
from pipeline.base.locking import Level
from pipeline.base.paths import data_dir, store_dir
from pipeline.base.progress import busy
from pipeline.base.resources import check_space
from pipeline.base.terminal import say
from pipeline.base.text import wrap
from pipeline.cli import Command, TrainConfig
from pipeline.core.dataset import DataFile
from pipeline.execution.executor import Executor
from pipeline.execution.local import LocalExecutor
from pipeline.execution.workers import executor_type
from pipeline.records.dataset_names import data_path, is_name
from pipeline.sweeps.configurations import group_by_configuration
from pipeline.sweeps.jobs import Job, OnResult
from pipeline.sweeps.listing import list_jobs
from pipeline.sweeps.naming import sweep_key, sweep_name
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.recorded import RecordedSweep, ReusableRuns
from pipeline.sweeps.result import SweepResult, report_files
from pipeline.sweeps.running_sweep import RunningSweep
from pipeline.tracking import (
    RecordedRun,
    Tracker,
    announce_kept_name,
    recorded_params,
)
from pipeline.training.size import HISTORIES_OF_WORKER, weight_history_bytes

UNTRACKED = (
    "With tracking=none, no results are recorded: if this sweep is "
    "interrupted, the same command{} starts from the beginning."
)
ONE_JOB = (
    "No setting has several values, so this sweep trains one network. For three "
    "networks, use for example seed=1,2,3."
)


def train_sweep(
    command: Command[TrainConfig], on_result: OnResult | None = None
) -> SweepResult:
    """Train the missing jobs of a sweep, then write, record and print its report.

    `on_result` is called with each outcome, including outcomes of earlier processes.

    Raises:
        PartlyFailed: If jobs are invalid or failed, or files of the best network are
            damaged. All other jobs are trained first.
        UserError: If `on_result` of another sweep calls this function.
    """
    # Two processes with nested sweeps could wait for each other.
    if locking.thread_holds(Level.SWEEP):
        raise UserError(
            "on_result must not call sweep(): call it when the other sweep has ended"
        )
    with _open_sweep(command, on_result or (lambda outcome: None)) as sweep:
        for outcome in sweep.plan.outcomes:
            sweep.on_result(outcome)
        if run := sweep.finished_run:
            return _show_finished(sweep, run)
        return _start_workers(sweep)


@contextmanager
def _open_sweep(
    command: Command[TrainConfig], on_result: OnResult
) -> Iterator[RunningSweep]:
    """Find out which jobs a sweep has, and which earlier processes have trained.

    In the block, no other process runs the same sweep.
    """
    cfg, store, data_folder = command.config, store_dir(), data_dir()
    tracker = Tracker(store, server=cfg.server, experiment=cfg.recorded_in)
    tracker.read_code()
    jobs = list_jobs(command, lambda name: _data_file(name, data_folder, cfg.executor))
    key = sweep_key(
        jobs, command.intervals, recorded_in=cfg.recorded_in, again=cfg.again
    )
    folder = store / "sweeps" / key
    lock = folder.with_name(f".{folder.name}.lock")
    waiting = "waiting for another process that is running the same sweep"
    with locking.lock(lock, Level.SWEEP, waiting=waiting):
        recorded = RecordedSweep.read(tracker, key, again=cfg.again)
        name = cfg.run_name or sweep_name(jobs, command.intervals)
        if recorded.run:
            name = recorded.run.name
        say(wrap(f"sweep {name}"), flush=True)
        if len(jobs) == 1 and not command.intervals:
            say(wrap(ONE_JOB, indent=0), flush=True)
        announce_kept_name(name, cfg.run_name)
        if not tracker.is_recorded:
            folder = command.folder or folder  # contains the networks
        sweep = RunningSweep(
            cfg,
            tracker,
            on_result,
            name,
            folder=folder,
            call_folder=command.folder,
            plan=_plan(command, jobs, recorded, store),
            recorded=recorded,
            reusable=ReusableRuns(tracker, is_used=not cfg.again),
        )
        if not tracker.is_recorded:
            say(wrap(UNTRACKED.format(sweep.other_folder), indent=0), flush=True)
        yield sweep


def _data_file(dataset: str, folder: Path, executor: str) -> DataFile:
    """Return the file of a data set.

    An executor that cannot start is rejected before a data set is fetched. If there is
    a data file, jobs may have been trained earlier, and may need no executor.
    """
    if is_name(dataset) and not data_path(dataset, folder=folder).exists():
        executor_type(executor).check_environment()
    return datasets.prepare(dataset, folder=folder).file


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


def _show_finished(sweep: RunningSweep, run: RecordedRun) -> SweepResult:
    """Print the report of a sweep that is finished, and complete its copy.

    The table and the plot are written again if they are missing.
    """
    say("this sweep is finished: again=true trains it again")
    folder, outcomes, tracker = sweep.folder, sweep.plan.outcomes, sweep.tracker
    copied = tracker.copy(run.run_id)
    if len(report_files(folder)) < 2:
        from pipeline.sweeps.report import write_files  # imports Matplotlib

        write_files(folder, group_by_configuration(outcomes), title=run.name)
    result = SweepResult(outcomes, folder, run.run_id, copied, tracker.store)
    return sweep.copy_and_print(result, run.viewing_hint())


def _start_workers(sweep: RunningSweep) -> SweepResult:
    """Find runs to reuse, start the workers, and train the missing jobs."""
    place = sweep.tracker.store if sweep.tracker.is_recorded else sweep.folder
    check_space(sweep.disk_space, place, what="the sweep")
    sweep.reusable.find(sweep.plan.missing)
    # The workers import PyTorch while this process imports PyTorch and then MLflow.
    with _new_executor(sweep) as executor:
        with busy("loading PyTorch"):
            from pipeline.sweeps.missing_jobs import train_missing
        return train_missing(sweep, executor)


def _new_executor(sweep: RunningSweep) -> Executor:
    """Return the executor for the jobs that need a worker, because they reuse no run.

    Runs on a processor that is not known yet are not reused here.
    """
    jobs, kind = sweep.plan.remaining, sweep.cfg.executor
    # Without runs to reuse, this process need not know the processors, which imports
    # PyTorch, before the workers start.
    if not sweep.reusable.is_empty:
        jobs = sweep.to_train(executor_type(kind).known_processors())
    if not jobs:  # a worker is needed only if a run to be reused is damaged
        return LocalExecutor(1)
    sizes = [weight_history_bytes(job.hyperparameters) for job in jobs]
    return executor_type(kind).create(
        workers=sweep.cfg.workers,
        tasks=len(jobs),
        task_bytes=HISTORIES_OF_WORKER * max(sizes),
        module="pipeline.training.unrecorded_training",
    )
