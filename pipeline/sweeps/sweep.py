"""The command train -m: many training runs under one parent run, with one report.

After an interruption of any kind, the same command continues the sweep, because the
children of the run in MLflow record which jobs are trained. The files are in
outputs/sweeps/<id>/.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline import PartlyFailed, UserError, datasets
from pipeline.base import locking
from pipeline.base.call import own_folder
from pipeline.base.locking import Level
from pipeline.base.paths import data_dir, store_dir
from pipeline.base.printing import say
from pipeline.base.resources import check_space
from pipeline.base.terminal import busy, wrap
from pipeline.cli import Command, CommonSweepConfig, TrainConfig
from pipeline.execution.executor import Executor
from pipeline.execution.workers import known_processors, new_executor
from pipeline.sweeps.configurations import group_by_configuration
from pipeline.sweeps.jobs import Job, OnResult, Outcome
from pipeline.sweeps.listing import list_jobs, sweep_id, sweep_name
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.recorded_sweep import RecordedSweep
from pipeline.sweeps.report_text import print_report
from pipeline.sweeps.result import (
    SweepResult,
    failure_message,
    give_to_caller,
    written_files,
)
from pipeline.sweeps.reuse import ReusableRuns
from pipeline.sweeps.start import SweepStart
from pipeline.tracking import (
    RecordedRun,
    announce_kept_name,
    mirror_run,
    provenance,
    viewing_hint,
)
from pipeline.training.size import training_bytes

TRAINING = "pipeline.training.training_run"  # the module that workers import first
UNTRACKED = (
    "With tracking=none, no results are recorded: if this sweep is "
    "interrupted, the same command starts from the beginning."
)


def train_sweep(
    command: Command[TrainConfig], on_result: OnResult | None = None
) -> SweepResult:
    """Train the missing jobs of a sweep, then write, record and print its report.

    `on_result` is called with each outcome, including those of earlier processes.

    Raises:
        PartlyFailed: If jobs are invalid or failed. All other jobs are trained first.
        UserError: If `on_result` of another sweep calls this function.
    """
    # Two processes with nested sweeps could wait for each other.
    if locking.thread_holds(Level.SWEEP):
        rule = "on_result must not call sweep()"
        raise UserError(f"{rule}: call it when the other sweep has ended")
    cfg = command.config
    code = provenance.code_state()  # for all training runs; files may change later
    experiment = cfg.recorded_in  # the variable may change later, too
    jobs, identifier = _identify(command, experiment)
    store, own = store_dir(), own_folder()
    folder = store / "sweeps" / identifier
    lock = folder.with_name(f".{identifier}.lock")
    if not cfg.is_recorded:  # the networks are in the folder; nothing is continued
        folder = own or folder
    waiting = "waiting for another process that is running the same sweep"
    with locking.lock(lock, Level.SWEEP, waiting=waiting):
        recorded = _read_recorded(store, cfg, identifier)
        name = _announce_name(command, jobs, recorded)
        plan = _plan(command, jobs, recorded)
        takes_runs = cfg.is_recorded and not cfg.again
        start = SweepStart(
            store=store,
            plan=plan,
            recorded=recorded,
            reusable=ReusableRuns(store if takes_runs else None),
            experiment=experiment,
            name=name,
            folder=folder,
            own_folder=own,
            code=code,
        )
        if on_result:
            for outcome in plan.outcomes:
                on_result(outcome)
        if recorded.run and recorded.is_finished and plan.is_complete:
            return _show_finished(start, recorded.run, cfg)
        return _train_missing(start, cfg, on_result)


def _train_missing(
    start: SweepStart, cfg: CommonSweepConfig, on_result: OnResult | None
) -> SweepResult:
    """Find runs to reuse, start the workers, and record all missing jobs.

    `cfg` has the settings that all jobs have in common.
    """
    place = start.store if cfg.is_recorded else start.folder
    check_space(start.disk_space, place, what="the sweep")
    start.reusable.find(start.plan.trainable)
    # The workers import PyTorch while this process imports it and MLflow.
    with _new_executor(start, cfg) as executor:
        return _record(start, executor, cfg, on_result)


def _record(
    start: SweepStart,
    executor: Executor,
    cfg: CommonSweepConfig,
    on_result: OnResult | None,
) -> SweepResult:
    """Record all missing jobs in a run, which is FAILED if a job failed."""
    with busy("loading PyTorch and MLflow"):
        from pipeline.sweeps import scheduler, sweep_run

    with sweep_run.open_run(start, cfg) as (children, report):

        def on_outcome(outcome: Outcome) -> None:
            report.update()
            if on_result:
                on_result(outcome)

        with report.written_on_error():
            scheduler.run_missing_jobs(start, children, executor, on_outcome)
        result = sweep_run.finish(start, children, report)
        if failure := failure_message(result.outcomes):
            children.run.fail(failure)
    result = replace(result, copied=children.run.copied)
    if failure:
        raise PartlyFailed(failure, result)
    return result


def _identify(
    command: Command[TrainConfig], experiment: str | None
) -> tuple[list[Job], str]:
    """Return the jobs, with their data sets, and the `sweep_id`."""
    cfg, folder = command.config, data_dir()
    jobs = list_jobs(command, lambda name: datasets.prepare(name, folder=folder).file)
    return jobs, sweep_id(
        jobs, command.intervals, experiment=experiment, again=cfg.again
    )


def _announce_name(
    command: Command[TrainConfig], jobs: Sequence[Job], recorded: RecordedSweep
) -> str:
    """Print and return the name of the sweep; a continued sweep keeps its name."""
    cfg = command.config
    name = cfg.run_name or sweep_name(jobs, command.intervals)
    if recorded.run:
        name = recorded.run.name
    say(wrap(f"sweep {name}"), flush=True)
    announce_kept_name(name, cfg.run_name)
    if not cfg.is_recorded:
        say(wrap(UNTRACKED, indent=0), flush=True)
    return name


def _show_finished(
    start: SweepStart, run: RecordedRun, cfg: CommonSweepConfig
) -> SweepResult:
    """Print the report of a sweep that is finished, and complete its copy.

    The table and the plot are written again if they are missing.
    """
    say("this sweep is finished: again=true trains it again")
    store, folder, outcomes = start.store, start.folder, start.plan.outcomes
    copied = mirror_run(store, cfg.server, run.run_id) if cfg.server else None
    if len(written_files(folder)) < 2:
        from pipeline.sweeps.report import write_files  # Matplotlib takes 0.4 s

        write_files(folder, group_by_configuration(outcomes), title=run.name)
    shown = give_to_caller(folder, start.own_folder)
    result = SweepResult(outcomes, shown, run.run_id, copied)
    print_report(result, viewing_hint(run.label))
    return result


def _read_recorded(
    store: Path, cfg: CommonSweepConfig, identifier: str
) -> RecordedSweep:
    """Return the record of this sweep by earlier processes.

    With again=true, a finished sweep is not continued.
    """
    new = RecordedSweep(identifier)
    recorded = new
    if cfg.is_recorded:
        recorded = RecordedSweep.read(store, identifier)
    return new if cfg.again and recorded.is_finished else recorded


def _plan(
    command: Command[TrainConfig], jobs: Sequence[Job], recorded: RecordedSweep
) -> Plan:
    """Return the jobs, and the outcomes of jobs that earlier processes trained."""
    if command.intervals:
        from pipeline.sweeps.search import Search  # Optuna takes half a second

        tags = [child.tags for child in recorded.children]
        trials = command.config.trials
        assert trials  # a search without trials is rejected by `cli.rules`
        plan: Plan = Search(jobs, command.intervals, trials, tags)
    else:
        plan = Plan(jobs)
    for outcome in recorded.outcomes(plan.jobs):
        plan.add(outcome)
    return plan


def _new_executor(start: SweepStart, cfg: CommonSweepConfig) -> Executor:
    """Return the executor for the jobs that need a worker, because they reuse no run.

    If the processors are not known yet, these are all jobs with valid values.
    """
    # If there are no runs to reuse, this process need not import PyTorch before the
    # workers start.
    reusable, jobs = start.reusable, start.plan.trainable
    processors = None if reusable.is_empty else known_processors(cfg.executor)
    if processors is not None:
        jobs = reusable.without_run(jobs, processors)
    jobs += start.plan.examples()
    return new_executor(
        cfg.executor,
        workers=cfg.workers,
        tasks=len(jobs),
        task_bytes=training_bytes(job.hyperparameters for job in jobs),
        modules=[TRAINING],
    )
