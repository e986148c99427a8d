"""The command `inspect`: analyzes a network, or explains one part of it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline import UserError, interpret, tracking
from pipeline.base.paths import data_dir, displayed, results_dir, store_dir, user_path
from pipeline.base.progress import busy
from pipeline.base.results_folder import ResultsFolder
from pipeline.base.terminal import say
from pipeline.base.text import (
    command_line,
    counted,
    neuron_name,
    next_steps,
    printable,
    wrap,
)
from pipeline.cli import InspectConfig, defaults, expected_params
from pipeline.core.dataset import Dataset
from pipeline.evaluation import (
    classify,
    describe_prediction,
    find_image,
    preprocess_for,
)
from pipeline.integers import IntegerNetwork, find_integers
from pipeline.interpret import ModelAnalysis, ParameterLocation
from pipeline.interpret.names import BIAS
from pipeline.interpret.page import PAGE_FILE, record_page
from pipeline.model import (
    HistoryFiles,
    NetworkFile,
    load_detector,
    load_history_files,
    load_trained_network,
    load_training_data,
    locked_network,
    select_network,
)
from pipeline.records.file_names import WEIGHT_HISTORY_FILE
from pipeline.training.run_names import network_name

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_run import MlflowRun

OPEN_PAGE = (
    "       open it in a browser to see every weight, every sum, and how they changed"
)
LOGGED = ("frozen_weights", "dead_neurons")  # counts that MLflow compares


@dataclass(frozen=True)
class Inspection:
    """The explanation of a network, or of a part of it."""

    text: str = field(repr=False)  # what the command prints
    folder: Path | None  # the folder of the files, if there are any
    run_id: str | None = None  # the MLflow run of the network, if it is recorded
    # Whether the server has a complete copy; None without a server.
    copied: bool | None = None


def inspect(cfg: InspectConfig, folder: Path | None) -> Inspection:
    """Load a network and its data, then analyze it or explain one part of it.

    `folder` is the argument `folder` of a call from Python; see `Command.folder`.
    """
    with busy("loading the network"):
        # Invalid names are rejected before the network is loaded.
        names = interpret.parse_neurons(cfg.neuron) if cfg.neuron else []
        location = interpret.parse_parameter(cfg.weight) if cfg.weight else None
        with locked_network(
            run=cfg.run,
            model=cfg.model,
            store=store_dir(),
            server=cfg.server,
            expected=expected_params(),
        ) as trained:
            histories = load_history_files(trained)
        trained.require_two_layers()
    hidden = trained.network.hidden
    neurons = interpret.find_neurons(names, hidden=hidden)
    if location:
        location.check(hidden=hidden)
    if cfg.arrays:
        result = Inspection(_describe_arrays(trained), None)
    else:
        dataset = load_training_data(trained, folder=data_dir())
        if neurons:
            own = ResultsFolder("details/neuron", folder)
            result = _explain_neurons(cfg, neurons, trained, histories, dataset, own)
        elif location:
            own = ResultsFolder("details/weight", folder)
            result = _show_weight(location, trained, histories, dataset, own)
        elif cfg.against:
            other = _other_network(cfg.against, cfg.server).require_two_layers()
            both = histories, load_history_files(other)
            own = ResultsFolder("details/against", folder)
            result = _compare(trained, other, both, dataset, own)
        else:
            own = ResultsFolder("inspect", folder)
            result = _analyze(cfg, trained, histories, dataset, own)
    say(result.text)
    return result


def _describe_arrays(trained: NetworkFile) -> str:
    """Return the arrays in NumPy's abbreviated form."""
    parts = []
    with np.printoptions(suppress=True):  # decimals instead of powers of ten
        for name in ("layer_1", "layer_2"):
            kernel, bias = getattr(trained.network, name).get_weights()
            parts.append(f"{name} weights {kernel.shape}\n{kernel}\n")
            parts.append(f"{name} biases {bias.shape}\n{bias}\n")
    return "\n".join([*parts, f"all values  {displayed(trained.path)}"])


def _other_network(against: str, server: str | None) -> NetworkFile:
    """Read the network of against=: a file or a run."""
    path = user_path(against, key="against")
    with busy("loading the other network"):
        if os.path.exists(path) or path.suffix == ".safetensors":
            return load_trained_network(path)
        try:
            return select_network(
                run=against, model=None, store=store_dir(), server=server
            )
        except UserError as error:
            raise UserError(
                "against must be a run or a model.safetensors file, "
                f"got {against!r}: {error}"
            ) from None


def _analyze(
    cfg: InspectConfig,
    trained: NetworkFile,
    histories: HistoryFiles,
    dataset: Dataset,
    own: ResultsFolder,
) -> Inspection:
    """Write and log all results; the text is the tutorial."""
    analysis = ModelAnalysis(trained, dataset, histories)
    tracker = tracking.new_tracker(
        store_dir(), server=cfg.server, experiment=cfg.recorded_in
    )
    with busy("analyzing the network"):
        tutorial = interpret.render_tutorial(analysis)
        name = network_name(
            trained.params, dataset=dataset.name, sha256=trained.weights_sha256
        )
    with (
        tracker.reopen_run(
            run_id=trained.run_id, weights_sha256=trained.weights_sha256
        ) as run,
        busy("drawing the plots and the page"),
        own.new() as partial,
    ):
        interpret.write_analysis(analysis, partial)
        run.record(_log_analysis, sorted(partial.iterdir()), analysis.counts)
        problem = record_page(analysis, partial, run, name=name)
    page = problem or f"{displayed(own.path / PAGE_FILE)}\n{OPEN_PAGE}"
    example = analysis.example
    neuron, image = neuron_name(1, example.neuron), f"image={example.image}"
    command = command_line(
        "inspect", f"neuron={neuron}", image, run=cfg.run, model=cfg.model
    )
    text = (
        f"{tutorial}\n\npage   {page}\nfiles  {displayed(own.path)}\n"
        f"{run.viewing_hint()}{next_steps({command: f'shows the sum of {neuron}'})}"
    )
    return Inspection(
        text,
        own.lasting_folder(run.artifacts),
        run.run_id,
        run.copied,
    )


def _log_analysis(
    run: "MlflowRun", paths: Sequence[Path], counts: Mapping[str, int]
) -> None:
    """Log the files of an analysis, and counts of neurons and weights."""
    run.log_files("inspect", paths)
    section = "with_final_weights"  # sorted after the learning curves
    metrics = {f"{section}/{key}": counts[key] for key in LOGGED if key in counts}
    run.log_metrics(metrics, step=0)  # MLflow draws bars for step 0


def _explain_neurons(
    cfg: InspectConfig,
    neurons: list[str],
    trained: NetworkFile,
    histories: HistoryFiles,
    dataset: Dataset,
    own: ResultsFolder,
) -> Inspection:
    """Explain how neurons compute their sums for an image, and write all terms."""
    source = find_image(str(cfg.image or 0), dataset)
    preprocessed = preprocess_for(trained.spec, source)
    pixels = preprocessed.images[0]
    name = printable(source.files[0])
    if source.has_files:
        name += f", {preprocessed.how}"
    predicted = classify(
        preprocessed, trained, load_detector(trained, folder=data_dir())
    )
    about = wrap(f"{name}: {describe_prediction(predicted, 0)}")
    integers = None
    if cfg.integers:
        integers, origin = _find_integers(cfg, trained)
        about += f"\n{origin}"
    sums = interpret.neuron_sums(trained.network, pixels, integers)
    worksheets = interpret.worksheets(sums, neurons, trained.spec)
    always_zero = trained.always_zero(dataset)
    with own.new() as partial:
        interpret.write_terms([sums[name] for name in neurons], always_zero, partial)
    weight = sums[neurons[0]].main_weight.name
    command = command_line("inspect", f"weight={weight}", run=cfg.run, model=cfg.model)
    text = f"{about}\n\n{worksheets}\n\nfiles  {displayed(own.path)}"
    if histories.weights is not None:
        text += f"\n{next_steps({command: 'shows the history of this weight'})}"
    return Inspection(text, own.path)


def _find_integers(
    cfg: InspectConfig, trained: NetworkFile
) -> tuple[IntegerNetwork, str]:
    """Return the quantized network, and a paragraph that says where it comes from."""
    last = results_dir() / "export"
    try:
        stored = find_integers(trained, last)
    except UserError as error:
        command = command_line("export", run=cfg.run, model=cfg.model)
        raise UserError(f"{error}: run {command}") from None
    bits = stored.network.bit_width
    text = f"Integers: {displayed(stored.path)}, {bits} per weight of layer 1."
    if stored.finetune:
        epochs = counted(stored.finetune, "epoch")
        text += (
            f" The network was fine-tuned for {epochs} before its weights were "
            "rounded. The floating-point values are those before fine-tuning, so the "
            "weights differ by more than the rounding error."
        )
    return stored.network, wrap(text, indent=0)


def _show_weight(
    location: ParameterLocation,
    trained: NetworkFile,
    histories: HistoryFiles,
    dataset: Dataset,
    own: ResultsFolder,
) -> Inspection:
    """Describe and write the history of a parameter."""
    if histories.weights is None:
        path = trained.path.with_name(WEIGHT_HISTORY_FILE)
        raise UserError(
            f"{path} is missing: run {command_line('train')}, which writes it next to "
            "the network"
        )
    values = location.values(histories.weights)
    lines = [interpret.describe_weight_history(location, values)]
    if location.layer == 1 and location.input != BIAS:
        images = dataset.split(trained.split).train.images
        lines.append(interpret.describe_pixel(location.input, images))
    with own.new() as partial:
        interpret.write_weight_history(values, partial)
    other = trained.dataset if trained.dataset != defaults()["dataset"] else None
    sweep = command_line("train", "-m", "hidden=10,20,40", dataset=other)
    lines += [f"\nfiles  {displayed(own.path)}"]
    lines += [next_steps({sweep: "trains three networks"})]
    return Inspection("\n".join(lines), own.path)


def _compare(
    a: NetworkFile,
    b: NetworkFile,
    histories: Sequence[HistoryFiles],
    dataset: Dataset,
    own: ResultsFolder,
) -> Inspection:
    """Describe and write how two networks differ, neuron by neuron."""
    comparison = interpret.NetworkComparison.of(a.network, b.network, dataset.test)
    frozen = [
        None if each.weights is None else interpret.frozen_weights(each.weights)
        for each in histories
    ]
    with own.new() as partial:
        interpret.write_comparison(comparison, frozen, partial)
    text = f"Both networks are tested on the test images of {dataset.name}."
    if b.data_sha256 != dataset.file.sha256:
        text += " B was trained on different data, or its data is not recorded."
    return Inspection(
        f"{wrap(text, indent=0)}\n\n{interpret.describe_comparison(comparison)}\n\n"
        f"files  {displayed(own.path)}",
        own.path,
    )
