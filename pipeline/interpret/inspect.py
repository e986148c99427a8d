"""The command `inspect`: analyzes a network, or answers one question about it."""

import os
from pathlib import Path

from pipeline import UserError, datasets, deploy, interpret, neuron_name, tracking
from pipeline.cli import InspectConfig, defaults, network_name
from pipeline.core.dataset import Dataset
from pipeline.evaluation import read_input
from pipeline.files import atomic_folder, write_csv
from pipeline.interpret import ParameterLocation, report
from pipeline.model import TrainedModel, load_training_data, select_trained_model
from pipeline.paths import displayed, outputs_dir, store_dir
from pipeline.terminal import command_line, next_steps, status, wrap

OPEN_PAGE = "       open it in a browser to see every sum, every weight and every epoch"
# Counts in summary.json that MLflow compares. It sorts "weights/" after the curves.
LOGGED = {
    "weights/frozen": "frozen_weights",
    "weights/inactive_neurons": "inactive_neurons",
}


def inspect(cfg: InspectConfig) -> None:
    """Load a network and its data, then analyze it or answer one question."""
    with status("loading the network"):
        # Invalid names are refused before the network is loaded.
        neurons = interpret.parse_neurons(cfg.neuron) if cfg.neuron else []
        location = interpret.parse_parameter(cfg.weight) if cfg.weight else None
        trained = select_trained_model(run=cfg.run, model=cfg.model, history=True)
        trained.require_two_layers()
    neurons = interpret.find_neurons(neurons, hidden=trained.network.hidden)
    if location:
        location.check(hidden=trained.network.hidden)
    if cfg.arrays:
        for name in ("layer_1", "layer_2"):
            kernel, bias = getattr(trained.network, name).get_weights()
            print(f"{name} kernel {kernel.shape}\n{kernel}\n")
            print(f"{name} bias {bias.shape}\n{bias}\n")
        print(f"all values  {displayed(trained.path)}")
        return
    dataset = load_training_data(trained)
    if neurons and cfg.integers:
        _explain_integers(cfg, neurons, trained, dataset)
    elif neurons:
        _explain_neurons(cfg, neurons, trained, dataset)
    elif location:
        _show_weight(location, trained, dataset)
    elif cfg.against:
        _compare(trained, _other_network(cfg.against).require_two_layers(), dataset)
    else:
        _analyse(cfg, trained, dataset)


def _other_network(against: str) -> TrainedModel:
    """Read the network of against=: a file or a run."""
    path = Path(os.path.expanduser(against))
    with status("loading the other network"):
        if path.exists() or path.suffix == ".safetensors":
            return select_trained_model(run=None, model=against)
        try:
            return select_trained_model(run=against, model=None)
        except UserError as error:
            message = f"against: there is no file {against!r}, and {error}"
            raise UserError(message) from None


def _analyse(cfg: InspectConfig, trained: TrainedModel, dataset: Dataset) -> None:
    """Write and log all results, and print the tutorial."""
    with status("analyzing the network"):
        analysis = interpret.ModelAnalysis.of(trained, dataset)
        name = network_name(
            trained.metadata.params, dataset=dataset.name, sha256=trained.sha256
        )
    folder = outputs_dir() / "inspect"
    with (
        tracking.open_tracker(cfg.tracking, store_dir(), server=cfg.server).reopen_run(
            run_id=trained.run_id, weights_sha256=trained.sha256
        ) as run,
        status("drawing the plots and the page"),
        atomic_folder(folder) as partial,
    ):
        interpret.write_analysis(analysis, partial)
        page = report.render(analysis, name=name)
        (partial / "report.html").write_text(page, "utf-8")
        run.log_files("inspect", sorted(partial.iterdir()))
        link = run.link("report.html", "artifacts/inspect/report.html")
        run.describe_results({"Interactive page": link})
        counts = analysis.counts
        metrics = {name: counts[key] for name, key in LOGGED.items() if key in counts}
        run.log_metrics(metrics, step=0)  # where MLflow draws bars
    print(f"{interpret.render_tutorial(analysis)}\n")
    page = "too large for a page"
    if report.fits(trained.network):
        page = f"{displayed(folder / 'report.html')}\n{OPEN_PAGE}"
    print(f"page   {page}\nfiles  {displayed(folder)}\n{run.viewing_hint()}", end="")
    neuron = neuron_name(1, analysis.probe.hidden)
    command = command_line(
        "inspect", f"neuron={neuron}", "image=0", run=cfg.run, model=cfg.model
    )
    print(next_steps({command: f"shows the sum of {neuron}"}))


def _explain_neurons(
    cfg: InspectConfig, neurons: list[str], trained: TrainedModel, dataset: Dataset
) -> None:
    """Print how neurons compute their sums for an image, and write all terms."""
    spec = datasets.spec(trained.dataset)
    image, prepare = str(cfg.image or 0), spec.prepared_as_mnist
    input_image = read_input(image, dataset, prepare=prepare)
    sums = interpret.pre_activations(trained.network, input_image.prepared.image)
    text = interpret.worksheets(sums, neurons, spec)
    print(wrap(input_image.describe(spec)), text, sep="\n\n")
    train = dataset.split(trained.split).train
    always_zero = ~train.images.any(axis=0).ravel()
    folder = outputs_dir() / "answers" / "neuron"
    with atomic_folder(folder) as partial:
        interpret.write_terms([sums[name] for name in neurons], always_zero, partial)
    weight = sums[neurons[0]].main_weight.name
    command = command_line("inspect", f"weight={weight}", run=cfg.run, model=cfg.model)
    print(f"\nfiles  {displayed(folder)}")
    print(next_steps({command: "shows its history"}))


def _explain_integers(
    cfg: InspectConfig, neurons: list[str], trained: TrainedModel, dataset: Dataset
) -> None:
    """Print how neurons compute their sums in integers, and write all terms."""
    spec = datasets.spec(trained.dataset)
    path, network, metadata = deploy.find_export(
        outputs_dir() / "export",
        weights_sha256=trained.sha256,
        command=command_line("export", run=cfg.run, model=cfg.model),
    )
    image, prepare = str(cfg.image or 0), spec.prepared_as_mnist
    input_image = read_input(image, dataset, prepare=prepare)
    pixels = input_image.prepared.image
    in_floats = interpret.pre_activations(trained.network, pixels)
    sums = deploy.integer_sums(network, pixels, in_floats)
    width = deploy.bits_text(network.bits)
    text = f"Integers: {displayed(path)}, {width} per weight of layer_1."
    if epochs := metadata.get("finetune"):
        plural = "" if epochs == 1 else "s"
        text += (
            f" The network was fine-tuned for {epochs} epoch{plural} before its "
            "weights were rounded. The floats are those of the network before "
            "fine-tuning, so the weights differ by more than the rounding error."
        )
    print(wrap(input_image.describe(spec)), wrap(text, indent=0), "", sep="\n")
    print(deploy.integer_worksheets(sums, neurons, spec, bits=network.bits))
    folder = outputs_dir() / "answers" / "integers"
    with atomic_folder(folder) as partial:
        deploy.write_integer_terms([sums[name] for name in neurons], partial)
    print(f"\nfiles  {displayed(folder)}")


def _show_weight(
    location: ParameterLocation, trained: TrainedModel, dataset: Dataset
) -> None:
    """Print and write the history of a parameter."""
    history = trained.history
    if history is None:
        raise UserError(
            f"{trained.history_path} is missing; python -m pipeline.train writes it "
            "beside the network"
        )
    values = location.values(history)
    print(interpret.weight_history(location, values))
    if location.layer == 1 and location.row is not None:
        images = dataset.split(trained.split).train.images
        print(interpret.describe_pixel(location.row, images))
    folder = outputs_dir() / "answers" / "weight"
    with atomic_folder(folder) as partial:
        rows = [{"epoch": k, "value": float(value)} for k, value in enumerate(values)]
        write_csv(partial / "life.csv", rows)
    other = trained.dataset if trained.dataset != defaults()["dataset"] else None
    sweep = command_line("train", "-m", "hidden=10,20,40", dataset=other)
    print(f"\nfiles  {displayed(folder)}")
    print(next_steps({sweep: "compares three sizes"}))


def _compare(a: TrainedModel, b: TrainedModel, dataset: Dataset) -> None:
    """Print and write how two networks differ, neuron by neuron."""
    comparison = interpret.NetworkComparison.of(a.network, b.network, dataset.test)
    frozen_pixels = [
        None if history is None else interpret.frozen_weights(history).min(axis=1)
        for history in (a.history, b.history)
    ]
    folder = outputs_dir() / "answers" / "against"
    with atomic_folder(folder) as partial:
        interpret.write_comparison(comparison, frozen_pixels, partial)
    text = f"Both networks are tested on the test images of {dataset.name}."
    if b.metadata.data_sha256 != dataset.sha256:
        text += " B was trained on other data, or its data are not recorded."
    print(wrap(text, indent=0), end="\n\n")
    print(interpret.describe_comparison(comparison))
    print(f"\nfiles  {displayed(folder)}")
