"""The command `export`: one export, or several in workers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import UserError, deploy, files, tracking
from pipeline.call import results_dir, say
from pipeline.cli import ExportConfig, network_name
from pipeline.console import progress
from pipeline.core.dataset import Dataset
from pipeline.deploy import Exported, Results
from pipeline.model import TrainedModel, load_training_data, select_trained_model
from pipeline.paths import displayed, outputs_dir, store_dir
from pipeline.sweeps.networks import read_networks
from pipeline.terminal import command_line, next_steps, status, wrap
from pipeline.tracking import Run, recorded_folder


@dataclass(frozen=True)
class Exports:
    """The exports of one network, or of several."""

    exported: tuple[Exported, ...]
    folder: Path  # of its own with its files, if they are recorded
    run_id: str | None  # of the MLflow run of the network or of the sweep
    copied: bool | None  # whether the server has all of it; None without a server


def export(cfg: ExportConfig, widths: Sequence[int | str]) -> Exports:
    """Load a network, convert it to integers, check, write and record the result."""
    if widths or cfg.bits == "all" or cfg.sweep:
        return _export_several(cfg, widths or [cfg.bits])
    outputs, store = outputs_dir(), store_dir()
    with status("loading the network"):
        trained = select_trained_model(run=cfg.run, model=cfg.model)
        trained.require_two_layers()
    model = deploy.QuantizedModel.of(
        trained,
        load_training_data(trained),
        bits=cfg.bits,
        finetuning_epochs=cfg.finetune,
        track=progress(f"fine-tuning with {deploy.bits_text(cfg.bits)}"),
    )
    tracker = tracking.open_tracker(cfg.tracking, store, server=cfg.server)
    with files.atomic_folder(results_dir("export")) as folder:
        with status("writing and checking the files"):
            exported = deploy.export_model(model, verify=cfg.verify)
        exported.write(folder)
        with tracker.reopen_run(  # creates a run if there is none
            run_id=trained.run_id, weights_sha256=trained.sha256
        ) as run:
            _record(exported, folder, run)
    [combination] = deploy.combine([({}, trained)], [cfg.bits])
    say(f"\n{deploy.sizes_table({combination: exported})}\n")
    say(f"{deploy.describe([exported])}\n")
    say(f"code   {displayed(outputs / 'export' / 'digits.c')}")
    say(f"files  {displayed(outputs / 'export')}\n{run.viewing_hint()}", end="")
    say(_next_step(cfg))
    return Exports((exported,), recorded_folder(run, "export"), run.id, run.copied)


def _export_several(cfg: ExportConfig, bits: Sequence[int | str]) -> Exports:
    """Export a network or all networks of a sweep, with each bit width, in workers."""
    outputs, store = outputs_dir(), store_dir()
    with status("loading the networks"):
        networks, run_id, sha256 = _select_networks(cfg)
    widths = deploy.WIDTHS if "all" in bits else [*dict.fromkeys(map(int, bits))]
    combinations = deploy.combine(networks, widths)
    dataset = load_training_data(networks[0][1])
    tracker = tracking.open_tracker(cfg.tracking, store, server=cfg.server)
    with files.atomic_folder(results_dir("export")) as folder:
        results, failed = deploy.export_combinations(
            combinations,
            dataset.path,
            executor=cfg.executor,
            workers=cfg.workers,
            finetuning_epochs=cfg.finetune,
            verify=cfg.verify,
        )
        count = f"{len(failed)} of {len(combinations)} exports failed"
        message = f"{count}: {'; '.join(failed)}"
        if not results:
            raise UserError(f"{message}; nothing was written")
        with tracker.reopen_run(run_id=run_id, weights_sha256=sha256) as run:
            _record_all(results, folder, run)
            _compare(results, folder, run)
            if "all" in bits and not cfg.sweep:
                _write_page(results, dataset, folder, run)
    _print_results(cfg, results)
    say(f"files  {displayed(outputs / 'export')}\n{run.viewing_hint()}", end="")
    if failed:
        raise UserError(message)
    own = recorded_folder(run, "export")
    return Exports(tuple(results.values()), own, run.id, run.copied)


def _select_networks(
    cfg: ExportConfig,
) -> tuple[list[tuple[Mapping[str, Any], TrainedModel]], str | None, str | None]:
    """Select the networks and the run that records the whole export.

    Returns:
        The networks with their swept values; the id of the run, which is that of the
        sweep or of the network; and the hash of the weights, None for a sweep.
    """
    if cfg.sweep:
        sweep, networks = read_networks(cfg.sweep, store=store_dir())
        for _, trained in networks:
            trained.require_two_layers()
        return networks, sweep.run_id, None
    trained = select_trained_model(run=cfg.run, model=cfg.model)
    trained.require_two_layers()
    return [({}, trained)], trained.run_id, trained.sha256


def _record_all(results: Results, folder: Path, run: Run) -> None:
    """Write and record several exports, those with the largest bit width first."""
    order = sorted(results, key=lambda combination: -combination.bits)
    for combination in progress("recording")(order):
        exported, child = results[combination], run
        exported.write(folder / combination.folder)
        if combination.swept and combination.trained.run_id:
            child = run.reopen_child(combination.trained.run_id)
        _record(exported, folder / combination.folder, child)


def _compare(results: Results, folder: Path, run: Run) -> None:
    """Write and record the table and the plot of several exports."""
    paths = deploy.write_sizes(results, folder)
    run.log_files("export", paths)
    links = [run.link(p.name, f"artifacts/export/{p.name}") for p in paths]
    text = f"{deploy.answer(results)} ({', '.join(links)})"
    run.describe_results({"Accuracy and size": text})


def _write_page(results: Results, dataset: Dataset, folder: Path, run: Run) -> None:
    """Write and record the page of a network in floating point and in integers."""
    trained, exports = next(iter(results)).trained, [*results.values()]
    name = network_name(
        trained.metadata.params, dataset=dataset.name, sha256=trained.sha256
    )
    path = folder / deploy.PAGE_FILE
    with status("drawing the page"):
        page = deploy.render_page(trained, dataset, exports, name=name)
        path.write_text(page, "utf-8")
    run.log_files("export", [path])
    link = run.link(path.name, f"artifacts/export/{path.name}")
    run.describe_results({"Interactive page of all bit widths": link})


def _print_results(cfg: ExportConfig, results: Results) -> None:
    """Print the table, the checks and the smallest network of several exports."""
    describe = deploy.describe_checks if cfg.sweep else deploy.describe
    say(f"\n{deploy.sizes_table(results)}\n")
    say(f"{describe([*results.values()])}\n")
    say(f"{wrap(deploy.answer(results))}\n")
    folder = results_dir("export")
    code = folder / deploy.smallest(results).folder / "digits.c"
    say(f"code   {displayed(code)}")
    say(f"plot   {displayed(folder / deploy.SIZES_PLOT)}")
    if (folder / deploy.PAGE_FILE).exists():
        say(f"page   {displayed(folder / deploy.PAGE_FILE)}")


def _record(exported: Exported, folder: Path, run: Run) -> None:
    """Record the results of a bit width; MLflow draws a bar for a value at step 0."""
    report, name = exported.report, f"export/{exported.integers.bits}bit"
    run.log_files(name, [folder / file for file in exported.files])
    metrics = {f"{name}/{key}": report[key] for key in ("accuracy", "same_answers")}
    tools: dict[str, str] = {}
    for check in exported.checks:
        place = f"{name}/{check.platform}"
        metrics |= {f"{place}/{key}": value for key, value in check.figures.items()}
        tools |= check.tools
    run.log_metrics(metrics, step=0)
    run.set_tags({f"version.{tool}": version for tool, version in tools.items()})
    files = ("report.json", "weights.png", "changed.png")
    links = [run.link(file, f"artifacts/{name}/{file}") for file in files]
    same = f"{report['same_answers']:.2%} of the predictions are the same as in floats"
    text = f"accuracy {report['accuracy']:.2%}; {same}; {', '.join(links)}"
    run.describe_results({f"Export, {exported.width}": text})


def _next_step(cfg: ExportConfig) -> str:
    """Suggest the worksheet of a sum in integers, and the emulators."""
    network = {"run": cfg.run, "model": cfg.model}
    options = ["neuron=N11", "image=0", "integers=true"]
    steps = {command_line("inspect", *options, **network): "shows a sum in integers"}
    if cfg.verify == "host":
        epochs = None if cfg.finetune is None else str(cfg.finetune)
        options = [f"bits={cfg.bits}", "verify=all"]
        command = command_line("export", *options, finetune=epochs, **network)
        steps[command] = "also runs the C code on emulated processors"
    return next_steps(steps)
