"""Records a sweep while it is trained: its run, the children of the run, the report."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.base.printing import say
from pipeline.base.tags import KIND_TAG, SWEEP_TAG, SWEPT_TAG, Kind
from pipeline.base.terminal import busy
from pipeline.cli import CommonSweepConfig
from pipeline.execution.executor import Executor
from pipeline.sweeps.children import Children
from pipeline.sweeps.configurations import best_of
from pipeline.sweeps.jobs import Job, OnResult, Outcome, as_texts
from pipeline.sweeps.listing import all_options
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.recorded_sweep import RecordedSweep
from pipeline.sweeps.report import Report
from pipeline.sweeps.report_text import print_report
from pipeline.sweeps.result import SweepResult, failure_message
from pipeline.sweeps.scheduler import run_missing_jobs
from pipeline.sweeps.start import SweepStart
from pipeline.tracking import new_tracker


def record_sweep(
    start: SweepStart,
    executor: Executor,
    cfg: CommonSweepConfig,
    on_result: OnResult | None,
) -> SweepResult:
    """Train the missing jobs with running workers, record and print the report.

    `cfg` has the settings that all jobs have in common; `on_result` is called with each
    outcome. If jobs are invalid or failed, the others are trained, and the run of the
    sweep is FAILED.
    """
    plan, recorded, folder = start.plan, start.recorded, start.folder
    jobs = [*plan.jobs, *plan.examples()]
    tracker = new_tracker(
        start.store,
        server=cfg.server,
        experiment=cfg.experiment_name,
        code=start.code,
        is_recorded=cfg.is_recorded,
    )
    with tracker.start_run(
        name=start.name,
        params=_common_params(jobs),
        tags=_tags(jobs, recorded),
        resume=recorded.run.run_id if recorded.run else None,
    ) as run:
        run.delete_unfinished_children()
        report = Report(run, folder, plan, title=start.name)
        children = Children(run, folder, recorded, tracker.code)

        def on_outcome(outcome: Outcome) -> None:
            report.update()
            if on_result:
                on_result(outcome)

        try:
            run_missing_jobs(plan, children, start.reusable, executor, on_outcome)
        except KeyboardInterrupt:
            report.write()  # the last update was perhaps some seconds ago
            raise
        _finish(plan, report, children, store=start.store)
        run.failure = failure_message(plan.outcomes)
    return SweepResult(plan.outcomes, folder, run.run_id, run.copied)


def _tags(jobs: Sequence[Job], recorded: RecordedSweep) -> dict[str, str]:
    """Return the tags of the run: the options of groups, and what identifies it."""
    # A later command of a sweep can vary more keys: hidden=20, then hidden=[20].
    earlier = (recorded.run.tags if recorded.run else {}).get(SWEPT_TAG, "").split(",")
    varied = dict.fromkeys([*jobs[0].varied, *filter(None, earlier)])
    return {
        **as_texts(all_options(job.options for job in jobs)),
        KIND_TAG: Kind.SWEEP,
        SWEEP_TAG: recorded.sweep_id,
        SWEPT_TAG: ",".join(varied),
    }


def _common_params(jobs: Sequence[Job]) -> dict[str, Any]:
    """Return the params that all jobs have: MLflow cannot plot text such as 5,10."""
    valid = next(job for job in jobs if not job.error)
    return {key: x for key, x in valid.params.items() if key not in valid.varied}


def _finish(plan: Plan, report: Report, children: Children, *, store: Path) -> None:
    """Write and print the report, and complete the best network.

    The first traceback is printed; only an error in the program has one.
    """
    with busy("writing and recording the report"):
        report.finish()
    try:
        if best := best_of(plan.outcomes):
            with busy("recording the images and the model of the best network"):
                children.record_best(best, store=store)
    finally:
        hint = children.run.viewing_hint()
        print_report(plan.outcomes, report.folder, hint)
    tracebacks = (each.traceback for each in plan.outcomes if each.traceback)
    if first := next(tracebacks, None):
        say(first, file=sys.stderr)
