"""Trains the missing jobs of a sweep in its run, and completes the run.

`ChildWriter` writes to the store. Only `train_unrecorded` runs in the workers.
"""

import itertools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pipeline import PartlyFailed, UserError
from pipeline.base.error_messages import AGAIN, RESUME
from pipeline.base.progress import busy
from pipeline.base.terminal import say
from pipeline.base.text import counted, format_bytes
from pipeline.core.epoch import now
from pipeline.execution.executor import Executor, LostAttempt, Task, TaskResult
from pipeline.execution.interrupt import delayed_interrupt
from pipeline.records.tags import KIND_TAG, SWEEP_TAG, SWEPT_TAG, Kind
from pipeline.sweeps.children import ChildWriter, ReusedRun
from pipeline.sweeps.jobs import all_options
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.progress import show_progress
from pipeline.sweeps.recorded import Processors, RecordedSweep
from pipeline.sweeps.report import Report
from pipeline.sweeps.result import SweepResult, failure_message
from pipeline.sweeps.running_sweep import RunningSweep
from pipeline.training.unrecorded_training import train_unrecorded


def train_missing(sweep: RunningSweep, executor: Executor) -> SweepResult:
    """Train and record all missing jobs, then record and print the report.

    Raises:
        PartlyFailed: If jobs failed, or files of the best network are damaged; the run
            of the sweep is then FAILED.
        KeyboardInterrupt: After Ctrl-C. All results that had arrived are recorded.
    """
    plan, recorded = sweep.plan, sweep.recorded
    sweep.tracker.open_store()  # imports MLflow
    with sweep.tracker.start_run(
        name=sweep.name,
        params=_common_params(plan),
        tags=_tags(plan, recorded),
        time=now(),
        resume=recorded.run.run_id if recorded.run else None,
    ) as run:
        writer = ChildWriter(run, sweep)
        report = Report(run, sweep.folder, plan, title=sweep.name)
        with report.written_on_error():
            _train(sweep, executor, writer, report)
        result, failure = _finish(sweep, writer, report)
        _print_traceback(result)
        if failure:
            run.fail(failure)
    result = replace(result, copied=run.copied)
    if failure:
        raise PartlyFailed(failure, result)
    return result


def _tags(plan: Plan, recorded: RecordedSweep) -> dict[str, str]:
    """Return the tags of the run: the options of groups, and identifying tags."""
    # A later command of a sweep can vary more keys: hidden=20, then hidden=[20].
    earlier = (recorded.run.tags if recorded.run else {}).get(SWEPT_TAG, "").split(",")
    varied = dict.fromkeys([*plan.varied, *filter(None, earlier)])
    return {
        **all_options(job.options for job in plan.with_stand_ins),
        KIND_TAG: Kind.SWEEP,
        SWEEP_TAG: recorded.sweep_key,
        SWEPT_TAG: ",".join(varied),
    }


def _common_params(plan: Plan) -> Mapping[str, Any]:
    """Return the params that all jobs have in common.

    Params that vary are omitted, because MLflow cannot plot text such as 5,10.
    """
    valid = next(job for job in plan.with_stand_ins if not job.error)
    return {key: x for key, x in valid.params.items() if key not in plan.varied}


def _train(
    sweep: RunningSweep, executor: Executor, writer: ChildWriter, report: Report
) -> None:
    """Train the missing jobs, or reuse runs of the store, and record each outcome."""
    plan, to_train = sweep.plan, len(sweep.to_train(executor.processors))
    _print_extent(sweep, to_train, workers=executor.workers)
    stopping = "stopping and recording the results that have arrived"
    with (
        show_progress(plan, to_train=to_train, workers=executor.workers) as progress,
        delayed_interrupt(stopping, executor.stop) as interrupt,
    ):
        tasks = _tasks(sweep, writer, executor.processors)
        for result in executor.run(train_unrecorded, tasks):
            match result:
                case TaskResult():
                    outcome = writer.record(result)
                case ReusedRun():
                    outcome = writer.record_reused(result)
                case LostAttempt():
                    writer.record_attempt(result.job, result.error)
                    progress.print_attempt(result.job, result.error)
                    continue
            plan.add(outcome)
            progress.print_outcome(outcome)
            report.update()
            sweep.on_result(outcome)
    done = f"{plan.ended:,} of {plan.total:,} training runs"
    remedy = RESUME if sweep.tracker.is_recorded else f"{AGAIN}{sweep.other_folder}"
    interrupt.check(f"stopped after {done}: {remedy}")


def _tasks(
    sweep: RunningSweep, writer: ChildWriter, processors: Processors
) -> Iterator[Task | TaskResult | ReusedRun]:
    """Yield a task for each job that must be trained, and the results of other jobs.

    Invalid jobs are first. The executor takes the next item when a worker is free. A
    search suggests the next job then, which depends on all outcomes that were added
    before.
    """
    plan, reusable = sweep.plan, sweep.reusable
    for job in plan.jobs:
        if job.error:
            yield TaskResult(job, error=job.error)
    for job in itertools.chain(plan.missing, plan.suggest()):
        reused = writer.read_reusable(job, reusable.runs(job, processors))
        arguments = {"hyperparameters": job.hyperparameters}
        yield reused or Task(job, job.data_file, arguments)


def _print_extent(sweep: RunningSweep, to_train: int, *, workers: int) -> None:
    """Print how many jobs are trained, if any, and the disk space that they need."""
    if not to_train:
        return
    runs = counted(to_train, "training run")
    at_a_time = f", {workers} at a time" if workers > 1 else ""
    reused = len(sweep.plan.remaining) - to_train
    others = f"{',' if at_a_time else ''} and {counted(reused, 'reused run')}"
    space = format_bytes(sweep.disk_space)
    comma = "," if at_a_time and not reused else ""
    verb = "needs" if to_train + reused == 1 else "need"
    say(f"{runs}{at_a_time}{others if reused else comma} {verb} {space} of disk space")


def _finish(
    sweep: RunningSweep, writer: ChildWriter, report: Report
) -> tuple[SweepResult, str | None]:
    """Record the report and the best network of a sweep, and print the report.

    Returns:
        The result, and why the sweep failed; None if it succeeded.
    """
    outcomes, run, tracker = sweep.plan.outcomes, writer.run, sweep.tracker
    result = SweepResult(outcomes, sweep.folder, run.run_id, store=tracker.store)
    with busy("writing and recording the report"):
        report.finish()
    failures = [failure_message(outcomes)]
    try:
        if (best := result.best) and best.run_id:
            with busy("recording the images and the model of the best network"):
                writer.record_best(best.run_id)
    except UserError as error:
        failures.append(str(error))
    finally:
        result = sweep.copy_and_print(result, run.viewing_hint())
    return result, "\n".join(filter(None, failures)) or None


def _print_traceback(result: SweepResult) -> None:
    """Print the first traceback, if any; only an error in the program has one."""
    tracebacks = (each.traceback for each in result.outcomes if each.traceback)
    if first := next(tracebacks, None):
        say(first, file=sys.stderr)
