"""The report page: selects the data that fits in 5 MB and fills the HTML template.

The HTML, CSS and JavaScript files beside this module define what the page displays.
"""

import base64
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from jinja2 import Environment, PackageLoader, StrictUndefined
from safetensors import numpy as safetensors

from pipeline.core.network import Network, snapshot
from pipeline.interpret.analysis import ModelAnalysis

GALLERY_IMAGES = 100  # test images that the user can choose from
MAX_MISCLASSIFIED = 25  # misclassified images among them
MAX_DIFFERENT = 8  # for each width, images whose answer differs from floating point
ACTIVATION_IMAGES = 1000  # test images whose hidden activations are stored
MAX_EARLIER_EPOCHS = 20  # before the last epoch, the initial weights included
MAX_DATA_BYTES = 3_600_000  # of weights and activations: 5 MB as base64
MAX_INTEGER_BYTES = 2_000_000  # of a whole page with integers


@dataclass(frozen=True)
class IntegerVersion:
    """What the page needs of a network in integers, which `deploy` computes.

    `deploy/integers.py` documents the number format.
    """

    answers: Int[np.ndarray, " m"]  # for all test images
    tensors: dict[str, np.ndarray]  # by name, such as 8bit.q1
    metadata: dict[str, Any]  # the numbers that `widths.js` and `integers.js` display


def render(
    analysis: ModelAnalysis, *, name: str, integers: Sequence[IntegerVersion] = ()
) -> str:
    """Return the page of a network with this name; equal arguments give equal bytes.

    If the network does not fit (see `fits`), the page is short and says so.

    Args:
        analysis: Of the trained network.
        name: Of the network.
        integers: Versions of the network in integers. If there are any, the page has a
            switch between them in place of the epochs, and at most 2 MB.
    """
    environment = Environment(
        loader=PackageLoader("pipeline.interpret", "report"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    too_large = environment.get_template("too_large.html")
    network = analysis.trained.network
    size = f"{network.parameter_count:,}"
    if not integers and not fits(network):
        return too_large.render(size=size)
    tensors, metadata = page_data(analysis, integers)
    page_metadata = json.dumps({**metadata, "name": name}, sort_keys=True)
    packed = safetensors.save(tensors, {"page": page_metadata})
    data = base64.b64encode(gzip.compress(packed, mtime=0)).decode()
    page = environment.get_template("page.html").render(
        data=data, spec=analysis.spec, hidden=analysis.hidden, integers=bool(integers)
    )
    if integers and len(page.encode()) > MAX_INTEGER_BYTES:
        return too_large.render(size=size)
    return page


def fits(network: Network) -> bool:
    """Return whether the page has room for a network and its initial weights."""
    return epoch_capacity(network) >= 1


def page_data(
    analysis: ModelAnalysis, integers: Sequence[IntegerVersion] = ()
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors of the page by name, and its metadata.

    Only the metadata contains text from users; the page displays it as plain text.
    """
    if integers:  # the page shows only the final weights
        analysis = replace(analysis, history=None, frozen=None)
    trained, history = analysis.trained, analysis.history or {}
    network, test = trained.network, analysis.dataset.test
    train, val = analysis.split.train, analysis.split.val
    frozen = analysis.frozen  # without a history, the weights of always-zero pixels
    if frozen is None:
        frozen = np.repeat(analysis.always_zero[:, None], analysis.hidden, axis=1)
    recorded = len(next(iter(history.values()), ()))
    epochs = select_epochs(recorded, capacity=epoch_capacity(network))
    answers = network.classify(test.images)
    different = [version.answers != answers for version in integers]
    rows = select_test_images(answers != test.labels, different)
    tensors = {
        **snapshot(network),
        **{f"epochs.{n}": t[epochs].astype(np.float16) for n, t in history.items()},
        "images": test.images[rows],
        "image_labels": test.labels[rows],
        "activations": np.maximum(analysis.sums[:ACTIVATION_IMAGES], 0),
        "labels": test.labels[:ACTIVATION_IMAGES],
        "frozen": frozen.T.astype(np.uint8),
        "nonzero_rate": np.float32(analysis.nonzero / len(train)),
    }
    displayed = [*epochs, trained.epochs]
    metadata = {
        "dataset": analysis.dataset.name,
        "class_names": analysis.spec.class_names,
        "noun": analysis.spec.noun,
        "plural": analysis.spec.plural,
        "drawable": analysis.spec.prepared_as_mnist,
        "sha256": trained.sha256,
        "size": network.parameter_count,
        "training_images": len(train),
        "validation_images": len(val),
        "epochs": displayed,
        "validation_accuracy": analysis.validation_accuracy(displayed),
        "curves": {} if integers else trained.curves,
        "rows": rows.tolist(),
    }
    if detector := trained.detector:
        known = detector.components
        tensors["detector.means"] = known.means
        tensors["detector.components"] = known.components
        metadata |= {"max_error": known.max_error, "min_margin": detector.min_margin}
    for version in integers:
        tensors |= version.tensors
    if integers:
        metadata |= width_metadata(analysis, integers)
    return {name: np.ascontiguousarray(t) for name, t in tensors.items()}, metadata


def width_metadata(
    analysis: ModelAnalysis, integers: Sequence[IntegerVersion]
) -> dict[str, Any]:
    """Return the numbers of the networks in floating point and in integers."""
    table_bytes = 4 * analysis.trained.network.parameter_count
    return {
        "widths": [version.metadata for version in integers],
        "float": {"accuracy": analysis.accuracy, "table_bytes": table_bytes},
        "test_images": len(analysis.dataset.test),
    }


def epoch_capacity(network: Network) -> int:
    """Return how many earlier epochs fit; negative if not even the last one does.

    A weight takes 4 bytes in the last epoch and 2 in an earlier one, a stored hidden
    activation 4. A network of 400 hidden neurons leaves room for one earlier epoch.
    """
    used = 4 * (network.parameter_count + ACTIVATION_IMAGES * network.hidden)
    return (MAX_DATA_BYTES - used) // (2 * network.parameter_count)


def select_epochs(recorded: int, *, capacity: int) -> list[int]:
    """Select up to `capacity` evenly spaced epochs before the last, from epoch 0.

    The initial weights, epoch 0, count among the recorded epochs.
    """
    count = min(MAX_EARLIER_EPOCHS, recorded - 1, capacity)
    return [round(step * (recorded - 1) / count) for step in range(count)]


def select_test_images(
    misclassified: Bool[np.ndarray, " n"], different: Sequence[Bool[np.ndarray, " n"]]
) -> Int[np.ndarray, " rows"]:
    """Select test images, in order.

    They include the first misclassified images and the first ones whose answers differ
    in integers.
    """
    selected = np.flatnonzero(misclassified)[:MAX_MISCLASSIFIED]
    for each in different:
        selected = np.union1d(selected, np.flatnonzero(each)[:MAX_DIFFERENT])
    others = np.setdiff1d(np.arange(len(misclassified)), selected)
    others = others[: GALLERY_IMAGES - len(selected)]
    return np.sort(np.append(selected, others))
