"""The command train -m: many training runs under one parent run, with one report.

After an interruption of any kind, the same command continues: the children of the run
in MLflow are the record of what is trained. The files are in outputs/sweeps/<key>/.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from pipeline import files
from pipeline.call import own_folder, say
from pipeline.cli import Command
from pipeline.execution.executor import Executor
from pipeline.execution.workers import new_executor
from pipeline.paths import outputs_dir, store_dir
from pipeline.sweeps.estimate import training_bytes
from pipeline.sweeps.jobs import Job, combine, prepare_data, sweep_key, sweep_name
from pipeline.sweeps.outcomes import Earlier, Outcome
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.result import SweepResult
from pipeline.sweeps.text import print_report
from pipeline.terminal import status, wrap
from pipeline.tracking import mirror_run, viewing_hint

OnResult = Callable[[Outcome], object]
TRAINING = "pipeline.training.run"  # the module that workers import first
UNTRACKED = (
    "With tracking=none, nothing records what is trained: if this sweep is "
    "interrupted, the same command starts from the beginning."
)


def run_sweep(command: Command, on_result: OnResult | None = None) -> SweepResult:
    """Train the missing jobs of a sweep, then write, record and print its report.

    `on_result` is called with the outcome of each job, also of an earlier process.

    Raises:
        UserError: If jobs are invalid or failed; the others are trained first.
    """
    values, store = command.values, store_dir()
    grid = prepare_data(combine(command), outputs_dir() / "data")
    key = sweep_key(grid, command)
    folder = own_folder() or store / "sweeps" / key
    waiting = "waiting for another process, which is running the same sweep"
    with ExitStack() as stack:
        lock = files.lock(store / "sweeps" / f".{key}.lock", waiting=waiting)
        stack.enter_context(lock)
        earlier = _read_earlier(values, key)
        name = values["run_name"] or sweep_name(grid, command.intervals)
        name = earlier.run.name if earlier.run else name  # it was named when it started
        say(wrap(f"sweep {name}"), flush=True)
        if values["tracking"] == "none":
            say(wrap(UNTRACKED, indent=0), flush=True)
        plan = _plan(command, grid, earlier)
        if on_result:
            for outcome in plan.outcomes:
                on_result(outcome)
        expected = plan.expected()
        if earlier.is_finished and not plan.missing and not expected:
            assert earlier.run
            say("this sweep is finished; again=true trains it again")
            run_id, server = earlier.run.run_id, values["server"]
            copied = mirror_run(store, server, run_id) if server else None
            print_report(plan.outcomes, folder, viewing_hint(earlier.run.label))
            return SweepResult(plan.outcomes, folder, run_id, copied)
        untrained = [*(job for job in plan.missing if not job.problems), *expected]
        # The workers import PyTorch while this process imports it and MLflow.
        executor = stack.enter_context(_new_executor(values, untrained))
        with status("loading PyTorch and MLflow"):
            from pipeline.sweeps.training import train_sweep
        run = train_sweep(
            plan,
            earlier,
            executor,
            values,
            name=name,
            key=key,
            folder=folder,
            on_result=on_result,
        )
    return SweepResult(plan.outcomes, folder, run.id, run.copied)


def _read_earlier(values: Mapping[str, Any], key: str) -> Earlier:
    """Return what earlier processes have recorded of this sweep.

    With again=true, a finished sweep is not continued.
    """
    if values["tracking"] == "none":
        return Earlier.nothing()
    earlier = Earlier.read(store_dir(), key)
    is_new = values["again"] and earlier.is_finished
    return Earlier.nothing() if is_new else earlier


def _plan(command: Command, grid: Sequence[Job], earlier: Earlier) -> Plan:
    """Return the jobs, and the outcomes of those that earlier processes trained."""
    if command.intervals:
        from pipeline.sweeps.search import Search  # Optuna takes half a second

        tags = [child.tags for child in earlier.children]
        trials = command.values["trials"]
        plan: Plan = Search(grid, command.intervals, trials, tags)
    else:
        plan = Plan(grid)
    for outcome in earlier.outcomes(plan.jobs):
        plan.add(outcome)
    return plan


def _new_executor(values: Mapping[str, Any], jobs: Sequence[Job]) -> Executor:
    """Return the executor that the key `executor` names."""
    return new_executor(
        values["executor"],
        workers=values["workers"],
        tasks=len(jobs),
        task_bytes=training_bytes(jobs),
        modules=[TRAINING],
    )
