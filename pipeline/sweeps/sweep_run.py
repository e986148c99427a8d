"""Opens the run of a sweep, and completes it when all jobs have ended."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pipeline.base.printing import say
from pipeline.base.tags import KIND_TAG, SWEEP_TAG, SWEPT_TAG, Kind
from pipeline.base.terminal import busy
from pipeline.cli import CommonSweepConfig
from pipeline.sweeps.children import Children
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.listing import all_options
from pipeline.sweeps.recorded_sweep import RecordedSweep
from pipeline.sweeps.report import Report
from pipeline.sweeps.report_text import print_report
from pipeline.sweeps.result import SweepResult, give_to_caller
from pipeline.sweeps.start import SweepStart
from pipeline.tracking import Run, new_tracker


@contextmanager
def open_run(
    start: SweepStart, cfg: CommonSweepConfig
) -> Iterator[tuple[Children, Report]]:
    """Open the run of a sweep; yield the objects that record children and the report.

    `cfg` has the settings that all jobs have in common.
    """
    plan, recorded, folder = start.plan, start.recorded, start.folder
    jobs = [*plan.jobs, *plan.examples()]
    tracker = new_tracker(
        start.store,
        server=cfg.server,
        experiment=start.experiment,
        code=start.code,
    )
    with tracker.start_run(
        name=start.name,
        params=_common_params(jobs),
        tags=_tags(jobs, recorded),
        resume=recorded.run.run_id if recorded.run else None,
    ) as run:
        assert isinstance(run, Run)  # `new_tracker` records in this process
        run.delete_unfinished_children()
        children = Children(run, folder, recorded, start.code)
        yield children, Report(run, folder, plan, title=start.name)


def _tags(jobs: Sequence[Job], recorded: RecordedSweep) -> dict[str, str]:
    """Return the tags of the run: the options of groups, and identifying tags."""
    # A later command of a sweep can vary more keys: hidden=20, then hidden=[20].
    earlier = (recorded.run.tags if recorded.run else {}).get(SWEPT_TAG, "").split(",")
    varied = dict.fromkeys([*jobs[0].varied, *filter(None, earlier)])
    return {
        **all_options(job.options for job in jobs),
        KIND_TAG: Kind.SWEEP,
        SWEEP_TAG: recorded.sweep_id,
        SWEPT_TAG: ",".join(varied),
    }


def _common_params(jobs: Sequence[Job]) -> dict[str, Any]:
    """Return the params that all jobs have in common.

    Params that vary are omitted, because MLflow cannot plot text such as 5,10.
    """
    valid = next(job for job in jobs if not job.error)
    return {key: x for key, x in valid.params.items() if key not in valid.varied}


def finish(start: SweepStart, children: Children, report: Report) -> SweepResult:
    """Record the report and the best network of a sweep, and print the report.

    The first traceback is printed. Only an error in the program has a traceback.
    """
    outcomes, run = start.plan.outcomes, children.run
    result = SweepResult(outcomes, start.folder, run.run_id)
    with busy("writing and recording the report"):
        report.finish()
    try:
        if best := result.best:
            with busy("recording the images and the model of the best network"):
                children.record_best(best, store=start.store)
        folder = give_to_caller(start.folder, start.own_folder)
        result = replace(result, folder=folder)
    finally:
        print_report(result, run.viewing_hint())
    tracebacks = (each.traceback for each in outcomes if each.traceback)
    if first := next(tracebacks, None):
        say(first, file=sys.stderr)
    return result
