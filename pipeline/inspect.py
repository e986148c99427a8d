"""Show what is inside a trained network, down to every number.

By default, inspect analyses the network of outputs/train/ (or of run=<id>, or of
model=<file>) with its data. It prints a tutorial: how many numbers there are and why,
how y = m·x + c leads to the whole network, what was never learned, and what each neuron
responds to. Summary, tables, plots and report.html, an interactive page, are written to
outputs/inspect/ and to the network's MLflow run. This takes 7 s.

Each of these keys prints one answer instead and writes to outputs/answers/: neuron= how
a neuron computes its sum for an image, weight= the history of a parameter, arrays=true
all parameters, against= a comparison with another network.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli import (
    InspectConfig,
    defaults,
    outputs_dir,
    run_name,
    stage,
    store_dir,
    table,
)
from pipeline.files import atomic_folder, printable, write_csv

if TYPE_CHECKING:
    from pipeline.datasets import Dataset
    from pipeline.evaluation import InputImage
    from pipeline.interpret.names import Neuron, ParameterLocation
    from pipeline.interpret.report import ReportInputs
    from pipeline.model import Network, TrainedModel


def inspect(cfg: InspectConfig) -> None:
    """Load a network and its data, then analyse it or answer one question."""
    import torch

    from pipeline.interpret import find_neurons, find_parameter
    from pipeline.training import load_trained, load_training_data

    torch.set_num_threads(1)
    outputs, store = outputs_dir(), store_dir()
    trained = load_trained(run=cfg.run, model=cfg.model, outputs=outputs, store=store)
    hidden = trained.network.layer_1.out_features
    neurons = find_neurons(cfg.neuron, hidden=hidden) if cfg.neuron else []
    location = find_parameter(cfg.weight, hidden=hidden) if cfg.weight else None
    if cfg.arrays:
        _print_arrays(trained.network)
        return
    dataset = load_training_data(trained, outputs=outputs)
    if neurons:
        _explain_neurons(neurons, str(cfg.image or 0), trained, dataset)
    elif location:
        _show_weight(location, trained, dataset)
    elif cfg.against:
        path = Path(cfg.against).expanduser()
        is_file = "/" in cfg.against or path.suffix == ".safetensors" or path.exists()
        run, model = (None, cfg.against) if is_file else (cfg.against, None)
        other = load_trained(run=run, model=model, outputs=outputs, store=store)
        _compare(trained, other, dataset)
    else:
        _analyse(cfg, trained, dataset)


def _analyse(cfg: InspectConfig, trained: "TrainedModel", dataset: "Dataset") -> None:
    """Write and log all results, and print the tutorial."""
    import time

    from pipeline import interpret, tracking
    from pipeline.interpret import report

    analysis = interpret.ModelAnalysis.of(trained, dataset)
    inputs = _report_inputs(trained, dataset)
    folder = outputs_dir() / "inspect"
    tracker = tracking.open_tracker(cfg.tracking, store_dir(), server=cfg.server)
    with (
        tracker.reopen_run(run_id=trained.run_id, weights_sha256=trained.sha256) as run,
        atomic_folder(folder) as partial,
    ):
        interpret.write_analysis(analysis, partial)
        (partial / "report.html").write_text(report.render(inputs), "utf-8")
        run.log_files("inspect", sorted(partial.iterdir()))
        run.log_metrics(
            {f"inspect/{name}": value for name, value in analysis.metrics().items()},
            step=trained.epochs,
            time=time.time_ns() // 1_000_000,
        )
    print(interpret.render_tutorial(analysis, table=table))
    page = folder / "report.html" if report.fits(inputs) else "too large for a page"
    print(f"\npage   {page}\nfiles  {folder}\n{run.viewing_hint()}", end="")


def _report_inputs(trained: "TrainedModel", dataset: "Dataset") -> "ReportInputs":
    """Return what the interactive page shows."""
    from pipeline.interpret.report import ReportInputs

    name = trained.sha256[:8]
    if "seed" in trained.metadata:
        name = run_name({**defaults(), **trained.metadata})
    return ReportInputs(
        name=name,
        network=trained.network,
        sha256=trained.sha256,
        history=trained.history() or {},
        detector=trained.detector if trained.detector_path.exists() else None,
        dataset=dataset,
        split=trained.split,
        epochs=trained.epochs,
    )


def _print_arrays(network: "Network") -> None:
    """Print the four arrays as NumPy formats them."""
    for name in ("layer_1", "layer_2"):
        kernel, bias = getattr(network, name).get_weights()
        print(f"{name} kernel {kernel.shape}\n{kernel}\n")
        print(f"{name} bias {bias.shape}\n{bias}\n")


def _explain_neurons(
    neurons: "list[Neuron]", image: str, trained: "TrainedModel", dataset: "Dataset"
) -> None:
    """Print how neurons compute their sums for an image, and write all terms."""
    from pipeline import interpret
    from pipeline.evaluation import read_input

    source = read_input(image, dataset, prepare=trained.prepared_as_mnist)
    sums = interpret.pre_activations(trained.network, source.prepared.image)
    print(_describe_input(source, prepared=trained.prepared_as_mnist), end="\n\n")
    print(interpret.worksheets(sums, neurons, table=table))
    train = dataset.split(trained.split).train
    always_zero = interpret.nonzero_counts(train.images) == 0
    folder = outputs_dir() / "answers" / "neuron"
    with atomic_folder(folder) as partial:
        selected = [sums[neuron.name] for neuron in neurons]
        interpret.write_terms(selected, always_zero, partial)
    print(f"\nfiles  {folder}")


def _describe_input(source: "InputImage", *, prepared: bool) -> str:
    """Return which image it is, how it was prepared, and what is unusual about it."""
    if source.label is not None:
        return f"{source.name}, label {source.label}"
    name = printable(source.name)
    if not prepared:
        return f"{name}, resized to 28x28"
    text = f"{name}, preprocessed as in MNIST"
    if not source.prepared.digit_count:
        text += "; it is blank: the values below come from the biases alone"
    elif source.prepared.digit_count > 1:
        text += "; it contains more than one digit"
    elif not source.prepared.drawn:
        text += "; it does not look like a digit"
    return text


def _show_weight(
    location: "ParameterLocation", trained: "TrainedModel", dataset: "Dataset"
) -> None:
    """Print and write the history of a parameter."""
    from pipeline import interpret

    history = trained.history()
    if history is None:
        raise FileNotFoundError(
            f"{trained.history_path} is missing; python -m pipeline.train writes it "
            "beside the network"
        )
    values = location.values(history)
    print(interpret.weight_history(location, values, table=table))
    if location.layer == 1 and location.row is not None:
        images = dataset.split(trained.split).train.images
        print(interpret.describe_pixel(location.row, images))
    folder = outputs_dir() / "answers" / "weight"
    with atomic_folder(folder) as partial:
        rows = [{"epoch": k, "value": float(value)} for k, value in enumerate(values)]
        write_csv(partial / "life.csv", rows)
    print(f"\nfiles  {folder}")


def _compare(a: "TrainedModel", b: "TrainedModel", dataset: "Dataset") -> None:
    """Print and write how two networks differ, neuron by neuron."""
    from pipeline import interpret

    comparison = interpret.NetworkComparison.of(a.network, b.network, dataset.test)
    unlearned = [
        None if history is None else interpret.frozen_weights(history).min(axis=1)
        for history in (a.history(), b.history())
    ]
    folder = outputs_dir() / "answers" / "against"
    with atomic_folder(folder) as partial:
        interpret.write_comparison(comparison, unlearned, partial)
    sha256 = b.metadata.get("data_sha256")
    warning = ""
    if sha256 is None:
        warning = " The training data of B is not recorded."
    elif sha256 != dataset.sha256:
        warning = f" B was trained on other data: {b.dataset}."
    print(f"Both networks are tested on the test images of {dataset.name}.{warning}\n")
    print(interpret.describe_comparison(comparison, table=table))
    print(f"\nfiles  {folder}")


if __name__ == "__main__":
    stage(inspect, InspectConfig)
