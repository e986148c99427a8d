"""Runs one export in this process, or several exports in processes of this machine."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.progress import busy, new_console, progress, progress_bar
from pipeline.base.terminal import say
from pipeline.base.text import (
    WIDTH,
    counted,
    folder_name,
    printable,
    short_name,
    wrap,
)
from pipeline.core.dataset import Dataset
from pipeline.deploy.exported_network import ExportedNetwork, export_quantized
from pipeline.execution.executor import LostAttempt, Task, TaskResult
from pipeline.execution.local import LocalExecutor
from pipeline.integers import QuantizedModel, bit_folder
from pipeline.model import TrainedNetwork
from pipeline.sweeps.networks import SweptNetwork

NEURON_BYTES = 700_000  # memory for each hidden neuron; measured: 0.62 MB


@dataclass(frozen=True, eq=False)
class ExportJob:
    """A network and the bit width of its export."""

    # The values that distinguish the network from others; {} if there is only one.
    varied_values: Mapping[str, Any]
    trained: TrainedNetwork
    run_id: str | None  # the ID of the child of a sweep that trained the network
    bits: int
    folder: Path  # below outputs/export; "." for a single export

    @property
    def name(self) -> str:
        """The name of this export, such as "hidden=20 seed=1 bits=4"."""
        return short_name({**self.varied_values, "bits": self.bits})


ExportsByJob = Mapping[ExportJob, ExportedNetwork]


def export_jobs(
    networks: Sequence[SweptNetwork], bit_widths: Sequence[int]
) -> list[ExportJob]:
    """Return all combinations of networks and bit widths, each with its own folder.

    A folder is, for example, "hidden=20,seed=1/4bit". It contains only keys that vary.
    """
    return [
        ExportJob(
            values,
            trained,
            run_id,
            bits,
            Path(folder_name(values), bit_folder(bits) if len(bit_widths) > 1 else ""),
        )
        for values, trained, run_id in networks
        for bits in bit_widths
    ]


def run_jobs(
    jobs: Sequence[ExportJob],
    dataset: Dataset,
    *,
    workers: int | None,
    finetuning_epochs: int | None,
) -> tuple[ExportsByJob, list[str]]:
    """Run exports. If there are several, print a line for each export.

    Args:
        jobs: The networks and bit widths.
        dataset: The data set of all networks.
        workers: The number of processes; None for as many as the machine can run.
        finetuning_epochs: See `QuantizedModel.of`.

    Returns:
        The exported networks, in the order of the jobs, and the reason of each failure.

    Raises:
        UserError: If a single export fails, or there is not enough memory for a worker.
    """
    if len(jobs) == 1:
        exported = run_job(dataset, job=jobs[0], finetuning_epochs=finetuning_epochs)
        return {jobs[0]: exported}, []
    tasks = [
        Task(
            job,
            dataset.file,
            {"job": job, "finetuning_epochs": finetuning_epochs},
        )
        for job in jobs
    ]
    pool = LocalExecutor.create(
        workers=workers,
        tasks=len(tasks),
        task_bytes=NEURON_BYTES * max(job.trained.network.hidden for job in jobs),
        module="pipeline.deploy",
    )
    with pool:
        printed = _printed(pool.run(run_job, tasks), tasks)
        results = {result.job: result for result in printed}
    ended = [(job, results[job]) for job in jobs]
    failed = [f"{job.name}: {result.error}" for job, result in ended if result.error]
    return {job: result.value for job, result in ended if not result.error}, failed


def _printed(
    results: Iterable[TaskResult | LostAttempt], tasks: Sequence[Task]
) -> Iterator[TaskResult]:
    """Print a line for each result, and yield the final results."""
    console = new_console(file=sys.stdout, highlight=False, soft_wrap=True)
    width = min(max(len(task.job.name) for task in tasks), WIDTH // 2)
    ended = 0
    with progress_bar(console) as bar:
        shown = bar.add_task("exporting", total=len(tasks))
        for result in results:
            line = f"{result.job.name:{width}}  {_describe(result)}"
            if isinstance(result, TaskResult):
                ended += 1
                bar.update(shown, completed=ended)
                line += f"  ({ended:,} of {len(tasks):,})"
            console.print(line if len(line) <= WIDTH else wrap(line), markup=False)
            if isinstance(result, TaskResult):
                if result.traceback:
                    say(result.traceback, file=sys.stderr)
                yield result


def run_job(
    dataset: Dataset, *, job: ExportJob, finetuning_epochs: int | None
) -> ExportedNetwork:
    """Run an export, in this process or in a worker; see `QuantizedModel.of`."""
    model = QuantizedModel.of(
        job.trained,
        dataset,
        bits=job.bits,
        finetuning_epochs=finetuning_epochs,
        track=progress(f"fine-tuning with {counted(job.bits, 'bit')}"),
    )
    with busy("writing and checking the files"):
        return export_quantized(model)


def _describe(result: TaskResult | LostAttempt) -> str:
    if isinstance(result, LostAttempt):
        return f"{printable(result.error)}; trying again"
    if result.error:
        return f"failed: {printable(result.error)}"
    report = result.value.report
    return f"accuracy {report.accuracy:6.2%}  {report.table_bytes:7,} bytes"
