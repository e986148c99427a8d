"""Records a sweep while it is trained: its run, the children of the run, the report."""

import sys
from pathlib import Path

from pipeline.base.call import say
from pipeline.base.paths import store_dir
from pipeline.base.terminal import status
from pipeline.cli import SweepConfig
from pipeline.execution.executor import Executor
from pipeline.model.storage import params_of
from pipeline.sweeps.children import Children
from pipeline.sweeps.configurations import best_of
from pipeline.sweeps.jobs import OnResult, Outcome, all_choices
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.recorded_sweep import RecordedSweep
from pipeline.sweeps.report import Report
from pipeline.sweeps.report_text import print_report
from pipeline.sweeps.result import SweepFailed
from pipeline.sweeps.reuse import ReusableRuns
from pipeline.sweeps.scheduler import train_missing
from pipeline.tracking import OpenRun, open_tracker
from pipeline.tracking.store.tags import KIND_TAG, SWEEP_TAG, Kind


def record_sweep(
    plan: Plan,
    recorded: RecordedSweep,
    executor: Executor,
    cfg: SweepConfig,
    *,
    name: str,
    key: str,
    folder: Path,
    on_result: OnResult | None,
) -> OpenRun:
    """Train the missing jobs, record and print the report; return the closed run.

    Args:
        plan: The jobs.
        recorded: What earlier processes have recorded of this sweep.
        executor: Its workers are running.
        cfg: The settings that all jobs have in common.
        name: The name of the run.
        key: The `sweep_key`.
        folder: For the table and the plot, and the networks if nothing is recorded.
        on_result: A function to call with each outcome.

    Raises:
        SweepFailed: If jobs are invalid or failed; the others are trained first.
    """
    store, jobs = store_dir(), [*plan.jobs, *plan.expected()]
    params = params_of(next(job.values for job in jobs if not job.problems))
    common = {key: x for key, x in params.items() if key not in jobs[0].varied}
    tracker = open_tracker(
        cfg.tracking, store, server=cfg.server, experiment=cfg.experiment_name
    )
    with tracker.start_run(
        name=name,
        # Swept values are left out: MLflow cannot plot text such as 5,10.
        params=common,
        tags={**all_choices(jobs), KIND_TAG: Kind.SWEEP, SWEEP_TAG: key},
        resume=recorded.run.run_id if recorded.run else None,
    ) as run:
        run.delete_unfinished_children()
        report = Report(run, folder, plan.outcomes, title=name)
        children = Children(run, key, folder, recorded)

        def on_outcome(outcome: Outcome) -> None:
            report.update()
            if on_result:
                on_result(outcome)

        takes_runs = run.id is not None and not cfg.again
        reusable = ReusableRuns(store, executor.processors if takes_runs else ())
        train_missing(plan, children, reusable, executor, on_outcome)
        with status("writing and recording the report"):
            report.finish()
        try:
            if best := best_of(plan.outcomes):
                with status("adding images and a program to the best network"):
                    children.record_best(best, store=store)
        finally:
            print_report(plan.outcomes, folder, run.viewing_hint())
        _check_failures(plan, folder, run)
    return run


def _check_failures(plan: Plan, folder: Path, run: OpenRun) -> None:
    """Raise a SweepFailed if jobs failed; print the first traceback, if there is one.

    Only an error in the program has a traceback.
    """
    failed = [outcome for outcome in plan.outcomes if outcome.error]
    if tracebacks := [outcome.traceback for outcome in failed if outcome.traceback]:
        say(tracebacks[0], file=sys.stderr)
    if failed:
        raise SweepFailed(plan.ordered_outcomes, folder, run)
