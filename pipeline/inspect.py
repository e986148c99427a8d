"""Look inside a trained network: every number, what it does, where it came from.

Without a question, all of it: how many numbers there are and why, the way from
y = m·x + c to this network, what was never learned, what each neuron is for. Reads
outputs/train/ (or what run=<id> left, or model=<file>) and the data; writes to
outputs/inspect/ summary.json, tables, pictures and report.html, a page on which every
number can be pointed at, and the same into the MLflow run that trained the network.
Takes 7 s; with 20 hidden neurons 15,910 numbers, of which 1,340 were never learned.

A question is answered on the screen and leaves that alone; what it writes goes to
outputs/answers/: neuron= the sum of a neuron for a picture, weight= the life of one
number, arrays=true the arrays themselves, against= a comparison with another network.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli import (
    InspectConfig,
    defaults,
    outputs_dir,
    run_name,
    stage,
    store_dir,
)
from pipeline.files import printable

if TYPE_CHECKING:
    from pipeline.datasets.dataset import Dataset
    from pipeline.evaluation import InputImage
    from pipeline.interpret.neurons import Neuron, ParameterLocation
    from pipeline.interpret.report import Subject
    from pipeline.model.network import Network
    from pipeline.model.trained import TrainedModel


def inspect(cfg: InspectConfig) -> None:
    """Load, then answer what was asked; or tell all there is."""
    import torch

    from pipeline.interpret import neurons
    from pipeline.training import load_trained, load_training_data

    torch.set_num_threads(1)
    outputs, store = outputs_dir(), store_dir()
    trained = load_trained(run=cfg.run, model=cfg.model, outputs=outputs, store=store)
    hidden = trained.network.layer_1.out_features
    asked = neurons.find_neurons(cfg.neuron, hidden=hidden) if cfg.neuron else None
    place = neurons.find_parameter(cfg.weight, hidden=hidden) if cfg.weight else None
    if cfg.arrays:
        _print_arrays(trained.network)
        return
    dataset = load_training_data(trained, outputs=outputs)
    if asked:
        _answer_neurons(asked, str(cfg.image or 0), trained, dataset)
    elif place:
        _answer_weight(place, trained, dataset)
    elif cfg.against:
        file = Path(cfg.against).expanduser()
        is_file = "/" in cfg.against or file.suffix == ".safetensors" or file.exists()
        run, model = (None, cfg.against) if is_file else (cfg.against, None)
        other = load_trained(run=run, model=model, outputs=outputs, store=store)
        _answer_against(trained, other, dataset)
    else:
        _tell_all(cfg, trained, dataset)


def _tell_all(cfg: InspectConfig, trained: "TrainedModel", dataset: "Dataset") -> None:
    """Write and print everything that was found."""
    import time

    from pipeline import files, tracking
    from pipeline.interpret import report
    from pipeline.interpret.analysis import ModelAnalysis

    found, subject = ModelAnalysis.of(trained, dataset), _subject(trained, dataset)
    tracker = tracking.open_tracker(cfg.tracking, store_dir(), server=cfg.server)
    with (
        tracker.reopen_run(run_id=trained.run_id, weights_sha256=trained.sha256) as run,
        files.atomic_folder(outputs_dir() / "inspect") as written,
    ):
        text = json.dumps(found.summary(), indent=1)
        (written / "summary.json").write_text(text + "\n")
        found.write(written)
        (written / "report.html").write_text(report.page(subject), "utf-8")
        run.log_files("inspect", sorted(written.iterdir()))
        run.log_metrics(
            {f"inspect/{name}": value for name, value in found.metrics().items()},
            step=trained.epochs,
            time=time.time_ns() // 1_000_000,
        )
    print(found.told())
    page = outputs_dir() / "inspect" / "report.html"
    print(f"\npage   {page if report.fits(subject) else 'left out: too many numbers'}")
    print(f"files  {outputs_dir() / 'inspect'}\n{run.viewing_hint()}", end="")


def _subject(trained: "TrainedModel", dataset: "Dataset") -> "Subject":
    """Put together what the page is about."""
    from pipeline.interpret.report import Subject

    name = trained.sha256[:8]
    if "seed" in trained.metadata:
        name = run_name({**defaults(), **trained.metadata})
    return Subject(
        name=name,
        network=trained.network,
        sha256=trained.sha256,
        history=trained.history() or {},
        familiar=trained.detector if trained.detector_path.exists() else None,
        dataset=dataset,
        split=trained.split,
        epochs=trained.epochs,
    )


def _print_arrays(network: "Network") -> None:
    """Print the four arrays as NumPy does."""
    for layer in ("layer_1", "layer_2"):
        for part, array in zip(
            ("kernel", "bias"), getattr(network, layer).get_weights(), strict=True
        ):
            print(f"{layer} {part} {array.shape}\n{array}\n")


def _answer_neurons(
    asked: "list[Neuron]", image: str, trained: "TrainedModel", dataset: "Dataset"
) -> None:
    """Lay out the sums of neurons for a picture."""
    import numpy as np

    from pipeline import files, plots
    from pipeline.evaluation import read_input
    from pipeline.interpret import neurons, worksheet

    source = read_input(image, dataset, prepare=trained.prepared_as_mnist)
    sums = neurons.pre_activations(trained.network, source.image)
    print(_describe_input(source, prepared=trained.prepared_as_mnist))
    for neuron in asked:
        print("\n" + "\n".join(worksheet.pre_activation_worksheet(sums[neuron.name])))
    if any(neuron.layer == 2 for neuron in asked):
        logits = np.array([one.z for one in sums.values() if one.neuron.layer == 2])
        print("\n" + "\n".join(worksheet.softmax_worksheet(logits)))
    chosen = [sums[neuron.name] for neuron in asked]
    print("\n" + "\n".join(worksheet.notes(chosen)))
    with files.atomic_folder(outputs_dir() / "answers" / "neuron") as written:
        files.write_csv(
            written / "terms.csv",
            [row for one in chosen for row in worksheet.term_rows(one)],
        )
        drawn = [one for one in chosen if one.neuron.layer == 1][: plots.MAX_TEMPLATES]
        if drawn:
            unlit = (
                neurons.nonzero_counts(dataset.split(trained.split).train.images) == 0
            )
            shown = [worksheet.term_images(one, unlit) for one in drawn]
            plots.image_rows(shown, side=224, text=190).save(written / "terms.png")
    print(f"\nfiles  {outputs_dir() / 'answers' / 'neuron'}")


def _describe_input(source: "InputImage", *, prepared: bool) -> str:
    """Say which image it is, how it was prepared, and what is unusual about it."""
    if source.label is not None:
        return f"{source.name}, a {source.label}"
    name = printable(source.name)
    if not prepared:
        return f"{name}, resized to 28x28"
    text = f"{name}, preprocessed as in MNIST"
    if not source.digit_count:
        text += "; it is blank: the values below come from the biases alone"
    elif source.digit_count > 1:
        text += "; it contains more than one digit"
    elif not source.drawn:
        text += "; it does not look like a digit"
    return text


def _answer_weight(
    place: "ParameterLocation", trained: "TrainedModel", dataset: "Dataset"
) -> None:
    """Tell a parameter's life."""
    from pipeline import files
    from pipeline.interpret import neurons, worksheet

    history = trained.history()
    if history is None:
        raise FileNotFoundError(
            f"{trained.history_path} is missing: it is "
            "beside a network that python -m pipeline.train trained"
        )
    values = place.values(history)
    print("\n".join(worksheet.weight_history(place, values)))
    if place.layer == 1 and place.row is not None:
        images = dataset.split(trained.split).train.images
        lit = int(neurons.nonzero_counts(images)[place.row])
        level = images.reshape(len(images), -1)[:, place.row].mean() / 255
        print(
            f"  pixel {place.row} is lit in {lit:,} of {len(images):,} training "
            f"pictures ({lit / len(images):.1%}); its mean level is {level:.4f}"
        )
    with files.atomic_folder(outputs_dir() / "answers" / "weight") as written:
        rows = [{"epoch": k, "value": float(value)} for k, value in enumerate(values)]
        files.write_csv(written / "life.csv", rows)
    print(f"\nfiles  {outputs_dir() / 'answers' / 'weight'}")


def _answer_against(
    one: "TrainedModel", other: "TrainedModel", dataset: "Dataset"
) -> None:
    """Compare two networks, each neuron with its partner."""
    from pipeline import files, plots
    from pipeline.interpret import neurons
    from pipeline.interpret.alignment import NetworkComparison

    found = NetworkComparison.of(one.network, other.network, dataset.test)
    unlearned = [
        None if history is None else neurons.frozen_weights(history).min(axis=1)
        for history in (one.history(), other.history())
    ]
    with files.atomic_folder(outputs_dir() / "answers" / "against") as written:
        files.write_csv(written / "matches.csv", found.rows())
        plots.image_rows(found.drawn(unlearned), text=0).save(written / "matches.png")
    known = other.metadata.get("data_sha256")
    told = f"was trained on other data: {other.dataset}" if known else "names no data"
    apart = "" if known == dataset.sha256 else f"; B {told}"
    print(f"Both are asked about the test pictures of {dataset.name}{apart}.\n")
    print("\n".join(found.told()))
    print(f"\nfiles  {outputs_dir() / 'answers' / 'against'}")


if __name__ == "__main__":
    stage(inspect, InspectConfig)
