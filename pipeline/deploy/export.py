"""The command `export`: loads networks, exports them, and records the results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import PartlyFailed, UserError, deploy, tracking
from pipeline.base.paths import data_dir, displayed, store_dir
from pipeline.base.progress import busy, progress
from pipeline.base.results_folder import ResultsFolder
from pipeline.base.terminal import say
from pipeline.base.text import command_line, neuron_name, next_steps, wrap
from pipeline.cli import ExportConfig, expected_params
from pipeline.core.dataset import Dataset
from pipeline.deploy import ExportedNetwork, ExportsByJob
from pipeline.integers import BIT_WIDTHS, bit_folder
from pipeline.interpret import ModelAnalysis
from pipeline.interpret.page import PAGE_FILE, record_page
from pipeline.model import load_training_data, select_network
from pipeline.sweeps.networks import SweptNetwork, read_networks
from pipeline.tracking import OpenRun
from pipeline.training.run_names import network_name

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_run import MlflowRun

MAX_LISTED_NEURONS = 10  # neurons in a message


@dataclass(frozen=True, eq=False)
class ExportResult:
    """The exports of one network or several networks."""

    exported: tuple[ExportedNetwork, ...]
    folder: Path  # the folder of the files; in the store if they are recorded
    run_id: str | None  # the MLflow run of the network or of the sweep
    copied: bool | None  # whether the server has a complete copy; None without a server


def export(
    cfg: ExportConfig, bits: Sequence[int | str], folder: Path | None
) -> ExportResult:
    """Convert networks to integers with each bit width; check, write and record them.

    `bits` are the bit widths, or "all", and replace `cfg.bits`. `folder` is the
    argument `folder` of a call from Python; see `Command.folder`.
    """
    with busy("loading the network"):
        networks, run_id, sha256 = _select_networks(cfg)
    dataset = load_training_data(networks[0].file, folder=data_dir())
    numbers = [*BIT_WIDTHS]
    if "all" not in bits:
        numbers = [*dict.fromkeys(map(int, bits))]
    jobs = deploy.export_jobs(networks, numbers)
    # The tracker is created before the exports, to reject a store that cannot be used.
    tracker = tracking.new_tracker(
        store_dir(), server=cfg.server, experiment=cfg.recorded_in
    )
    results, failed = deploy.run_jobs(
        jobs, dataset, workers=cfg.workers, finetuning_epochs=cfg.finetune
    )
    several = len(jobs) > 1
    message = f"{len(failed)} of {len(jobs)} exports failed: {'; '.join(failed)}"
    if not results:
        raise UserError(f"{message}; nothing was written")
    page = ""
    own = ResultsFolder("export", folder)
    with (
        tracker.reopen_run(run_id=run_id, weights_sha256=sha256) as run,
        own.new() as partial,
    ):
        for job, exported in results.items():
            exported.write(partial / job.folder)
        run.record(_log_all, results, partial)
        if several:
            paths = deploy.write_sizes(results, partial, run_id=run.run_id)
            run.record(_log_comparison, paths, deploy.describe_sizes(results))
        if "all" in bits and not cfg.sweep:
            problem = _write_page(results, dataset, partial, run)
            page = problem or str(displayed(own.path / PAGE_FILE))
    _print(cfg, results, own.path, run, several=several, page=page)
    lasting = own.lasting_folder(run.artifacts)
    result = ExportResult(tuple(results.values()), lasting, run.run_id, run.copied)
    if failed:
        raise PartlyFailed(message, result)
    return result


def _select_networks(
    cfg: ExportConfig,
) -> tuple[list[SweptNetwork], str | None, str | None]:
    """Select the networks and the run that records the whole export.

    Returns:
        The networks with their varied values, the ID of the run of the sweep or of the
        network, and the hash of the weights, which is None for a sweep.
    """
    if cfg.sweep:
        sweep, networks = read_networks(cfg.sweep, store=store_dir(), server=cfg.server)
        for network in networks:
            network.file.require_two_layers()
        return networks, sweep.run_id, None
    trained = select_network(
        run=cfg.run,
        model=cfg.model,
        store=store_dir(),
        server=cfg.server,
        expected=expected_params(),
    )
    trained.require_two_layers()
    return [SweptNetwork({}, trained)], trained.run_id, trained.weights_sha256


def _log_all(run: "MlflowRun", results: ExportsByJob, folder: Path) -> None:
    """Log all exports, in the order of decreasing bit width.

    In a sweep, an export is logged in the child of its network.
    """
    order = sorted(results, key=lambda job: -job.bits)
    described: dict[str, tuple[MlflowRun, list[str]]] = {}  # by run ID
    for job in progress("recording")(order):
        exported = results[job]
        child = run.reopen_child(job.run_id) if job.run_id else run
        _log_export(child, exported, folder / job.folder)
        report = f"artifacts/export/{bit_folder(job.bits)}/report.json"
        link = child.link(str(exported.integers.bit_width), report)
        accuracy = f"{link} {exported.report.accuracy:.2%}"
        described.setdefault(child.run_id, (child, []))[1].append(accuracy)
    for child, accuracies in described.values():
        child.add_results({"Accuracy of the last export": ", ".join(accuracies)})


def _log_export(run: "MlflowRun", exported: ExportedNetwork, folder: Path) -> None:
    """Log the results of a bit width at step 0, for which MLflow draws a bar."""
    report, bits = exported.report, exported.integers.bits
    name, section = f"export/{bit_folder(bits)}", f"with_{bits}bit_weights"
    run.log_files(name, [folder / file for file in exported.files])
    metrics = {
        f"{section}/accuracy": report.accuracy,
        f"{section}/same_predictions": report.same_predictions,
    }
    run.log_metrics(metrics, step=0)
    for check in exported.checks:
        run.set_tags({f"version.{tool}": text for tool, text in check.tools.items()})


def _log_comparison(run: "MlflowRun", paths: Sequence[Path], text: str) -> None:
    """Log the table and the plot of several exports, and a text about them."""
    run.log_files("export", paths)
    links = [run.link(p.name, f"artifacts/export/{p.name}") for p in paths]
    run.add_results({"Exports": f"{text} ({', '.join(links)})"})


def _write_page(
    results: ExportsByJob, dataset: Dataset, folder: Path, run: OpenRun
) -> str:
    """Write and record the page of a network and its quantized networks.

    Return the reason why there is no page, or "" if there is one.
    """
    trained = next(iter(results)).trained
    name = network_name(
        trained.params, dataset=dataset.name, sha256=trained.weights_sha256
    )
    integers = [(exported.integers, exported.report) for exported in results.values()]
    with busy("drawing the page"):
        analysis = ModelAnalysis(trained, dataset)
        return record_page(analysis, folder, run, name=name, quantized=integers)


def _print(
    cfg: ExportConfig,
    results: ExportsByJob,
    folder: Path,
    run: OpenRun,
    *,
    several: bool,
    page: str,
) -> None:
    """Print the table, the checks, the smallest network, and where the files are."""
    exports = [*results.values()]
    checks = deploy.describe_checks([exported.checks for exported in exports])
    paragraphs = [deploy.sizes_table(results), checks]
    if not cfg.sweep:
        paragraphs.append(describe_dead_neurons(exports))
    shown = next(iter(results))
    if several:
        paragraphs.append(wrap(deploy.describe_sizes(results)))
        shown = deploy.smallest(results)
    say("\n" + "\n\n".join(filter(None, paragraphs)), end="\n\n")
    say(f"code   {displayed(folder / shown.folder / 'digits.c')}")
    if several:
        say(f"plot   {displayed(folder / deploy.SIZES_PLOT)}")
    if page:
        say(f"page   {page}")
    say(f"files  {displayed(folder)}\n{run.viewing_hint()}", end="")
    if not cfg.sweep:
        network = {"run": cfg.run, "model": cfg.model}
        options = ["neuron=N11", "image=0", "integers=true"]
        command = command_line("inspect", *options, **network)
        say(next_steps({command: "shows an integer sum"}))


def describe_dead_neurons(exports: Sequence[ExportedNetwork]) -> str:
    """Return a line for each export with dead neurons."""
    lines = []
    for exported in exports:
        if names := [neuron_name(1, j) for j in exported.dead_neurons]:
            others = len(names) - MAX_LISTED_NEURONS
            more = f" and {others:,} more" if others > 0 else ""
            listed = ", ".join(names[:MAX_LISTED_NEURONS]) + more
            about = f"Dead neurons ({exported.integers.bit_width})"
            rule = "which output 0 for every training image"
            lines.append(wrap(f"{about}, {rule}: {listed}"))
    return "\n".join(lines)
