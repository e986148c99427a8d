"""Runs exports: a single one in this process, several in processes of this machine."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.call import say
from pipeline.console import new_console, progress, progress_bar
from pipeline.core.dataset import Dataset
from pipeline.core.epoch import Snapshot
from pipeline.core.network import network_from, snapshot
from pipeline.deploy.exported import ExportedNetwork, export_quantized
from pipeline.deploy.quantized import QuantizedModel
from pipeline.execution.executor import Result, Task
from pipeline.execution.workers import new_executor
from pipeline.model import TrainedModel
from pipeline.sweeps.jobs import folder_name, short_name
from pipeline.terminal import counted, status, wrap
from pipeline.text import WIDTH, printable

NEURON_BYTES = 700_000  # memory for each hidden neuron; measured: 0.62 MB


@dataclass(frozen=True, eq=False)
class ExportJob:
    """A network and the bit width with which it is exported."""

    swept: Mapping[str, Any]  # what distinguishes the network; {} if it is the only one
    trained: TrainedModel
    bits: int
    folder: Path  # below outputs/export; "." for a single export

    @property
    def name(self) -> str:
        """What distinguishes it from the others, such as "hidden=20 seed=1 bits=4"."""
        return short_name({**self.swept, "bits": self.bits})


ExportedNetworks = Mapping[ExportJob, ExportedNetwork]


def list_jobs(
    networks: Sequence[tuple[Mapping[str, Any], TrainedModel]],
    bit_widths: Sequence[int],
) -> list[ExportJob]:
    """Return all combinations of networks and bit widths, each with its own folder.

    A folder is, for example, "hidden=20,seed=1/4bit", without what they have in common.
    """
    return [
        ExportJob(
            swept,
            trained,
            bits,
            Path(folder_name(swept), f"{bits}bit" * (len(bit_widths) > 1)),
        )
        for swept, trained in networks
        for bits in bit_widths
    ]


def run_jobs(
    jobs: Sequence[ExportJob],
    dataset: Dataset,
    *,
    workers: int | None,
    finetuning_epochs: int | None,
) -> tuple[ExportedNetworks, list[str]]:
    """Run exports, and print a line for each if there are several.

    Args:
        jobs: The networks and bit widths.
        dataset: The data set of all networks.
        workers: The number of processes; None for as many as fit.
        finetuning_epochs: See `QuantizedModel.of`.

    Returns:
        The exported networks, in the order of the jobs, and the reason of each failure.

    Raises:
        UserError: If a single export fails, or there is not enough memory for a worker.
    """
    tasks = [
        Task(each.name, dataset.path, arguments_of(each, finetuning_epochs))
        for each in jobs
    ]
    if len(jobs) == 1:
        return {jobs[0]: run_job(dataset, **tasks[0].arguments)}, []
    hidden = max(each.trained.network.hidden for each in jobs)
    pool = new_executor(
        "local",
        workers=workers,
        tasks=len(tasks),
        task_bytes=NEURON_BYTES * hidden,
        modules=["pipeline.deploy"],
    )
    console = new_console(file=sys.stdout, highlight=False, soft_wrap=True)
    width = min(max(len(task.key) for task in tasks), WIDTH // 2)
    values: dict[str, ExportedNetwork] = {}  # by name
    failed: list[str] = []
    with pool, progress_bar(console) as bar:
        shown = bar.add_task("exporting", total=len(tasks))
        for result in pool.run(run_job, tasks):
            name = result.task.key
            if not result.error:
                values[name] = result.value
            elif result.final:
                failed.append(f"{name}: {result.error}")
            ended = len(values) + len(failed)
            bar.update(shown, completed=ended)
            count = f"  ({ended:,} of {len(tasks):,})" * result.final
            line = f"{name:{width}}  {_describe(result)}{count}"
            console.print(line if len(line) <= WIDTH else wrap(line), markup=False)
            if result.traceback:
                say(result.traceback, file=sys.stderr)
    return {each: values[each.name] for each in jobs if each.name in values}, failed


def run_job(
    dataset: Dataset,
    *,
    arrays: Snapshot,
    others: Mapping[str, Any],
    bits: int,
    finetuning_epochs: int | None,
) -> ExportedNetwork:
    """Export a network; its tensors are arrays, which another process can receive.

    Args:
        dataset: The data set of the training.
        arrays: The trained network.
        others: The other fields of the `TrainedModel`.
        bits: See `QuantizedModel.of`.
        finetuning_epochs: See `QuantizedModel.of`.
    """
    model = QuantizedModel.of(
        TrainedModel(network_from(arrays), **others),
        dataset,
        bits=bits,
        finetuning_epochs=finetuning_epochs,
        track=progress(f"fine-tuning with {counted(bits, 'bit')}"),
    )
    with status("writing and checking the files"):
        return export_quantized(model)


def arguments_of(job: ExportJob, finetuning_epochs: int | None) -> dict[str, Any]:
    """Return the arguments of `run_job`, without tensors."""
    trained = job.trained
    names = {field.name for field in fields(trained)} - {"network"}
    return {
        "arrays": snapshot(trained.network),
        "others": {name: getattr(trained, name) for name in names},
        "bits": job.bits,
        "finetuning_epochs": finetuning_epochs,
    }


def _describe(result: Result) -> str:
    error = printable(result.error)
    if error:
        return f"failed: {error}" if result.final else f"{error}; trying again"
    report = result.value.report
    return f"accuracy {report.accuracy:6.2%}  {report.table_bytes:7,} bytes"
