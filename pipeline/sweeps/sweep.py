"""The command train -m: many training runs under one parent run, with one report.

After an interruption of any kind, the same command continues the sweep, because the
children of the run in MLflow record which jobs are trained. The files are in
outputs/sweeps/<id>/.

This module runs in the main process. It starts the workers before it imports
modules that import MLflow.
"""

from pipeline import UserError
from pipeline.base import locking
from pipeline.base.locking import Level
from pipeline.base.paths import data_dir, store_dir
from pipeline.base.progress import busy
from pipeline.base.resources import check_space
from pipeline.base.results_folder import own_folder
from pipeline.base.terminal import say
from pipeline.cli import Command, TrainConfig
from pipeline.execution.executor import Executor
from pipeline.execution.workers import known_processors, new_executor
from pipeline.sweeps.configurations import group_by_configuration
from pipeline.sweeps.jobs import OnResult
from pipeline.sweeps.report_text import print_report
from pipeline.sweeps.result import SweepResult, give_to_caller, written_files
from pipeline.sweeps.start import Sweep, open_sweep
from pipeline.tracking import copy_to_server, viewing_hint
from pipeline.training.size import training_bytes

TRAINING = "pipeline.training.training_run"  # the module that workers import first


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
    with open_sweep(
        command,
        on_result or (lambda outcome: None),
        store=store_dir(),
        data=data_dir(),
        caller_folder=own_folder(),
    ) as sweep:
        for outcome in sweep.plan.outcomes:
            sweep.call.on_result(outcome)
        if sweep.is_finished:
            return _show_finished(sweep)
        return _train_missing(sweep)


def _show_finished(sweep: Sweep) -> SweepResult:
    """Print the report of a sweep that is finished, and complete its copy.

    The table and the plot are written again if they are missing.
    """
    say("this sweep is finished: again=true trains it again")
    call, folder, outcomes = sweep.call, sweep.folder, sweep.plan.outcomes
    run, server = sweep.recorded.run, call.cfg.server
    assert run
    copied = copy_to_server(call.store, server, run.run_id) if server else None
    if len(written_files(folder)) < 2:
        from pipeline.sweeps.report import write_files  # Matplotlib takes 0.4 s

        write_files(folder, group_by_configuration(outcomes), title=run.name)
    shown = give_to_caller(folder, call.caller_folder)
    result = SweepResult(outcomes, shown, run.run_id, copied, call.store)
    print_report(result, viewing_hint(run.label))
    return result


def _train_missing(sweep: Sweep) -> SweepResult:
    """Find runs to reuse, start the workers, and record all missing jobs."""
    place = sweep.call.store if sweep.call.cfg.is_recorded else sweep.folder
    check_space(sweep.disk_space, place, what="the sweep")
    sweep.reusable.find(sweep.plan.trainable)
    # The workers import PyTorch while this process imports it and MLflow.
    with _new_executor(sweep) as executor:
        with busy("loading PyTorch and MLflow"):
            from pipeline.sweeps.sweep_run import record_sweep
        return record_sweep(sweep, executor)


def _new_executor(sweep: Sweep) -> Executor:
    """Return the executor for the jobs that need a worker, because they reuse no run.

    If the processors are not known yet, these are all jobs with valid values.
    """
    # If there are no runs to reuse, this process need not import PyTorch before the
    # workers start.
    cfg, reusable, jobs = sweep.call.cfg, sweep.reusable, sweep.plan.trainable
    processors = None if reusable.is_empty else known_processors(cfg.executor)
    if processors is not None:
        jobs = reusable.without_run(jobs, processors)
    jobs += sweep.plan.examples()
    return new_executor(
        cfg.executor,
        workers=cfg.workers,
        tasks=len(jobs),
        task_bytes=training_bytes(job.hyperparameters for job in jobs),
        modules=[TRAINING],
    )
