"""Exports several networks, each with several bit widths, in workers.

`sizes.py` compares the results.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.call import say
from pipeline.console import new_console, progress_bar
from pipeline.core.dataset import Dataset
from pipeline.core.epoch import Snapshot
from pipeline.core.network import network_from, snapshot
from pipeline.deploy.output import Exported, export_model
from pipeline.deploy.quantized import QuantizedModel
from pipeline.execution.executor import Result, Task
from pipeline.execution.interrupt import delayed_interrupt
from pipeline.execution.workers import new_executor
from pipeline.files import printable
from pipeline.model import TrainedModel
from pipeline.paths import displayed, outputs_dir
from pipeline.sweeps.jobs import folder_name, short_name
from pipeline.terminal import WIDTH, wrap

NEURON_BYTES = 700_000  # of memory for each hidden neuron; measured: 0.62 MB


@dataclass(frozen=True, eq=False)
class Combination:
    """A network and a bit width."""

    swept: Mapping[str, Any]  # what distinguishes the network; {} if it is the only one
    trained: TrainedModel
    bits: int
    name: str  # such as "hidden=20 seed=1 bits=4"
    folder: Path  # below outputs/export, such as "hidden=20,seed=1/4bit"


def combine(
    networks: Sequence[tuple[Mapping[str, Any], TrainedModel]], widths: Sequence[int]
) -> list[Combination]:
    """Return all combinations of networks and bit widths, each with its own folder."""
    combinations = []
    for swept, trained in networks:
        for bits in widths:
            folder, keys = Path(folder_name(swept)), dict(swept)
            if len(widths) > 1 or not swept:
                folder, keys = folder / f"{bits}bit", {**swept, "bits": bits}
            name = short_name(keys)
            combinations.append(Combination(swept, trained, bits, name, folder))
    return combinations


def export_combinations(
    combinations: Sequence[Combination],
    data: Path,
    *,
    executor: str,
    workers: int | None,
    finetuning_epochs: int | None,
    verify: str,
) -> tuple[dict[Combination, Exported], list[str]]:
    """Export all combinations in workers, and print a line for each.

    `data` is the file of the data set of all networks. See `new_executor` and
    `export_setting` for the other arguments.

    Returns:
        The results, in the order of the combinations, and the reason of each failure.

    Raises:
        KeyboardInterrupt: After Ctrl-C.
    """
    by_name = {each.name: each for each in combinations}
    options = {"finetuning_epochs": finetuning_epochs, "verify": verify}
    tasks = [
        Task(name, data, {**arguments_of(each.trained), "bits": each.bits, **options})
        for name, each in by_name.items()
    ]
    hidden = max(each.trained.network.hidden for each in combinations)
    results: dict[Combination, Exported] = {}
    failed: list[str] = []
    width = min(max(map(len, by_name)), WIDTH // 2)
    console = new_console(file=sys.stdout, highlight=False, soft_wrap=True)
    unchanged = f"{displayed(outputs_dir() / 'export')} is unchanged"
    with (
        new_executor(
            executor,
            workers=workers,
            tasks=len(tasks),
            task_bytes=NEURON_BYTES * hidden,
            modules=["pipeline.deploy"],
        ) as pool,
        progress_bar(console) as bar,
        delayed_interrupt(pool.stop, message=f"stopped; {unchanged}") as interrupt,
    ):
        progress = bar.add_task("exporting", total=len(tasks))
        ended = 0
        for result in pool.run(export_setting, tasks):
            name = result.task.key
            if not result.error:
                results[by_name[name]] = result.value
            elif result.final:
                failed.append(f"{name}: {result.error}")
            ended = len(results) + len(failed)
            bar.update(progress, completed=ended)
            count = f"  ({ended:,} of {len(tasks):,})" * result.final
            line = f"{name:{width}}  {_describe(result)}{count}"
            console.print(line if len(line) <= WIDTH else wrap(line), markup=False)
            if result.traceback:
                say(result.traceback, file=sys.stderr)
    interrupt.check(f"stopped after {ended:,} of {len(tasks):,} exports; {unchanged}")
    return {each: results[each] for each in combinations if each in results}, failed


def arguments_of(trained: TrainedModel) -> dict[str, Any]:
    """Return a trained network as arguments of `export_setting`, without tensors."""
    fields = ("metadata", "path", "sha256", "run_file")
    values = {name: getattr(trained, name) for name in fields}
    return {"arrays": snapshot(trained.network), "fields": values}


def export_setting(
    data: Dataset,
    *,
    arrays: Snapshot,
    fields: Mapping[str, Any],
    bits: int,
    finetuning_epochs: int | None,
    verify: str,
) -> Exported:
    """Export a network in a worker; see `QuantizedModel.of` and `export_model`.

    Args:
        data: The data set of the training.
        arrays: The trained network.
        fields: The other fields of the `TrainedModel`.
        bits: See `QuantizedModel.of`.
        finetuning_epochs: See `QuantizedModel.of`.
        verify: See `export_model`.
    """
    trained = TrainedModel(network_from(arrays), **fields)
    model = QuantizedModel.of(
        trained, data, bits=bits, finetuning_epochs=finetuning_epochs
    )
    return export_model(model, verify=verify)


def _describe(result: Result) -> str:
    error = printable(result.error)
    if error:
        return f"failed: {error}" if result.final else f"{error}; trying again"
    report = result.value.report
    return f"accuracy {report['accuracy']:6.2%}  {report['table_bytes']:7,} bytes"
