"""The interactive page: selects its data and fills the HTML template.

The HTML, CSS and JavaScript files next to this module define what the page displays.
"""

import base64
import gzip
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from safetensors import numpy as safetensors

from pipeline.base.templates import template_environment
from pipeline.core import CLASSES
from pipeline.core.network import Network, snapshot
from pipeline.images import unsure
from pipeline.integers import ExportReport, IntegerNetwork
from pipeline.interpret.analysis import ModelAnalysis
from pipeline.interpret.measurements import is_frozen
from pipeline.interpret.names import NEURON, PARAMETERS
from pipeline.interpret.page.curve import curve_plots
from pipeline.interpret.page.integer_data import bit_width_data, integer_tensors
from pipeline.interpret.page.page_data import (
    DetectorData,
    DrawingConstants,
    PageData,
    Straightening,
)
from pipeline.model import Detector, OodDetector
from pipeline.plots import weight_scale

PAGE_FILE = "report.html"
GALLERY_IMAGES = 100  # test images that the user can choose from
GALLERY_MISTAKES = 25  # maximum number of misclassified images in the gallery
GALLERY_DIFFERENT = 8  # maximum, per bit width, of images with another prediction
ACTIVATION_IMAGES = 1000  # test images whose hidden activations are stored
MAX_EARLIER_EPOCHS = 20  # epochs before the last epoch, including epoch 0
MAX_WEIGHT_BYTES = 3_600_000  # for weights and activations; limits the epochs

MeasuredIntegers = tuple[IntegerNetwork, ExportReport]


@dataclass(frozen=True)
class PageKind:
    """The differences between the page of `inspect` and the page of `export`."""

    selects: Literal["epochs", "bit widths"]
    template: str  # the template, which extends page.html
    max_bytes: int
    command: str  # the command that writes the page
    link: str  # the name of the link in the MLflow run
    title: str  # the text of the link


EPOCH_PAGE = PageKind(
    selects="epochs",
    template="epoch_page.html",
    max_bytes=5_000_000,
    command="inspect",
    link="page",
    title="interactive page",
)
BIT_WIDTH_PAGE = PageKind(
    selects="bit widths",
    template="bit_width_page.html",
    max_bytes=2_000_000,
    command="export",
    link="page of exports",
    title="interactive bit-width page",
)


def kind_of(quantized: Sequence[MeasuredIntegers]) -> PageKind:
    """Return the kind of the page: with or without quantized networks."""
    return BIT_WIDTH_PAGE if quantized else EPOCH_PAGE


def render_page(
    analysis: ModelAnalysis, *, name: str, quantized: Sequence[MeasuredIntegers] = ()
) -> str | None:
    """Return the page of a network with this name; equal arguments give equal bytes.

    Args:
        analysis: The analysis of the trained network.
        name: The name of the network.
        quantized: The quantized network at each bit width, and its report. If there are
            quantized networks, the page has a switch between bit widths instead of
            epochs, and the analysis must have no weight history.

    Returns:
        The page; None if the page has more bytes than this kind of page may have.
    """
    kind = kind_of(quantized)
    # A weight takes about 4 bytes. This check saves the seconds to build a large page.
    if 4 * analysis.trained.network.parameter_count > kind.max_bytes:
        return None
    tensors, page_data = select_data(analysis, quantized)
    metadata = asdict(page_data)
    packed = safetensors.save(tensors, {"page": json.dumps(metadata, sort_keys=True)})
    # The highest level takes three times as long, and saves 0.3%.
    data = base64.b64encode(gzip.compress(packed, compresslevel=6, mtime=0)).decode()
    # White space is kept, because HTML displays some of it.
    layout = {"trim_blocks": False, "lstrip_blocks": False}
    templates = template_environment(
        "pipeline.interpret", "page", autoescape=True, **layout
    )
    page = templates.get_template(kind.template).render(
        **metadata,
        name=name,
        data=data,
        curve_plots=curve_plots(page_data.history),
        scripts=scripts(),
    )
    return page if len(page.encode()) <= kind.max_bytes else None


def scripts() -> dict[str, str]:
    """Return the JavaScript modules of the page by the file name in their imports."""
    folder = files("pipeline.interpret.page")
    paths = [path for path in folder.iterdir() if path.name.endswith(".js")]
    ordered = sorted(paths, key=lambda path: path.name)
    return {path.name: path.read_text("utf-8") for path in ordered}


def select_data(
    analysis: ModelAnalysis, quantized: Sequence[MeasuredIntegers] = ()
) -> tuple[dict[str, np.ndarray], PageData]:
    """Return the tensors of the page by name, and all other data.

    Only the other data contain text from users, which the page displays without HTML.
    """
    assert not (quantized and analysis.histories.weights), "a page has one selector"
    trained = analysis.trained
    test = analysis.dataset.test
    epochs, earlier = _epochs(analysis)
    predicted = trained.network.classify(test.images)
    different = [
        integers.classify(test.images) != predicted for integers, _ in quantized
    ]
    gallery = select_test_images(
        predicted != test.labels, different, example=analysis.example.image
    )
    tensors = {
        **snapshot(trained.network),
        **earlier,
        "images": test.images[gallery],
        "image_labels": test.labels[gallery],
        "activations": analysis.outputs[:ACTIVATION_IMAGES],
        "labels": test.labels[:ACTIVATION_IMAGES],
        "images_with_ink": analysis.images_with_ink.astype(np.int32),
    }
    if isinstance(detector := analysis.detector, OodDetector):
        tensors["detector.means"] = detector.components.means
        tensors["detector.components"] = detector.components.components
    for integers, _ in quantized:
        tensors |= integer_tensors(integers, test.images[:ACTIVATION_IMAGES])
    data = _page_data(
        analysis,
        epochs=epochs,
        gallery=gallery.tolist(),
        quantized=quantized,
    )
    return {name: np.ascontiguousarray(t) for name, t in tensors.items()}, data


def _epochs(
    analysis: ModelAnalysis,
) -> tuple[list[int], dict[str, np.ndarray]]:
    """Return the selected epochs, the weights before the last, the frozen weights.

    The last epoch is 0 if the number of epochs is not known.
    """
    weight_history = analysis.histories.weights
    if weight_history is None:  # only weights of always-zero pixels are known as frozen
        frozen = np.tile(analysis.always_zero, (analysis.hidden, 1))
        last = analysis.trained.params.get("epochs", 0)
        return [last], {"frozen.layer_1.weight": frozen.astype(np.uint8)}
    recorded = len(weight_history["layer_1.bias"])
    capacity = epoch_capacity(analysis.trained.network)
    epochs = select_epochs(recorded, capacity=capacity)
    tensors = {}
    for name, values in weight_history.items():
        tensors[f"epochs.{name}"] = half_bytes(values[epochs])
        tensors[f"frozen.{name}"] = is_frozen(values).astype(np.uint8)
    return [*epochs, recorded - 1], tensors


def _page_data(
    analysis: ModelAnalysis,
    *,
    epochs: Sequence[int],
    gallery: Sequence[int],
    quantized: Sequence[MeasuredIntegers],
) -> PageData:
    trained, spec = analysis.trained, analysis.spec
    rarest = int(analysis.images_with_ink.argmin())
    kind = kind_of(quantized).selects
    epoch = epochs[-1]
    trained_title = "the floating-point network"
    if kind == "epochs":
        trained_title = "the final network" + (f" (epoch {epoch})" if epoch else "")
    return PageData(
        kind=kind,
        dataset=analysis.dataset.name,
        noun=spec.noun,
        plural=spec.plural,
        class_names=spec.class_names,
        class_titles=[spec.title(label) for label in range(CLASSES)],
        images_of=[*map(unsure.images_of, spec.class_names)],
        one_image=[*map(unsure.one_image, spec.class_names)],
        drawable=spec.preprocessed_as_mnist,
        straightening=Straightening() if spec.is_upright else None,
        training_images=len(analysis.split.train),
        validation_images=len(analysis.split.val),
        test_images=len(analysis.dataset.test),
        always_zero_count=int(analysis.always_zero.sum()),
        frozen_others_count=int(analysis.frozen_others.sum()),
        rarest=rarest,
        rarest_images=int(analysis.images_with_ink[rarest]),
        example=analysis.example,
        sha256=trained.weights_sha256,
        trained_title=trained_title,
        hidden=analysis.hidden,
        size=trained.network.parameter_count,
        weight_scale=weight_scale(analysis.kernel),
        float_accuracy=analysis.accuracy,
        epochs=epochs,
        validation_accuracy=analysis.validation_accuracy(epochs),
        history=analysis.histories.metrics or {},
        gallery=gallery,
        bit_widths=[bit_width_data(*measured) for measured in quantized],
        neuron_names=[NEURON],
        parameter_names=PARAMETERS,
        texts=unsure.TEXTS,
        constants=DrawingConstants(),
        detector=_detector_data(analysis.detector),
        missing_detector=analysis.detector.missing,
    )


def _detector_data(detector: Detector) -> DetectorData | None:
    if not isinstance(detector, OodDetector):
        return None
    components = detector.components
    return DetectorData(
        components.max_errors.tolist(), components.max_ratio, detector.min_margin
    )


def half_bytes(
    weights: Float[np.ndarray, "epochs ..."],
) -> UInt8[np.ndarray, "2 ... epochs"]:
    """Return the low bytes, then the high bytes, of weights rounded to float16.

    The values of a weight in all epochs are side by side, because similar bytes
    compress better together: the page is 150 KB smaller. Weights above 65,504, the
    largest number of float16, become this number.
    """
    largest = float(np.finfo(np.float16).max)
    halves = np.moveaxis(weights, 0, -1).clip(-largest, largest).astype("<f2")
    pairs = np.ascontiguousarray(halves)[..., None].view(np.uint8)
    return np.moveaxis(pairs, -1, 0)


def epoch_capacity(network: Network) -> int:
    """Return the number of earlier epochs that fit in the page, at least one.

    A weight takes 4 bytes in the last epoch and 2 bytes in an earlier epoch. A stored
    hidden activation takes 4 bytes. Compression makes this data smaller, but base64
    makes the result larger again.
    """
    used = 4 * (network.parameter_count + ACTIVATION_IMAGES * network.hidden)
    return max(1, (MAX_WEIGHT_BYTES - used) // (2 * network.parameter_count))


def select_epochs(recorded: int, *, capacity: int) -> list[int]:
    """Select up to `capacity` evenly spaced epochs before the last, from epoch 0.

    The initial weights, epoch 0, count among the recorded epochs.
    """
    count = min(MAX_EARLIER_EPOCHS, recorded - 1, capacity)
    return [round(step * (recorded - 1) / count) for step in range(count)]


def select_test_images(
    misclassified: Bool[np.ndarray, " n"],
    different: Sequence[Bool[np.ndarray, " n"]],
    *,
    example: int,
) -> Int[np.ndarray, " rows"]:
    """Select test images, in order.

    The result includes the image of the tour, the first misclassified images, and the
    first images whose predictions differ after quantization.
    """
    selected = np.union1d(np.flatnonzero(misclassified)[:GALLERY_MISTAKES], [example])
    for differs in different:
        selected = np.union1d(selected, np.flatnonzero(differs)[:GALLERY_DIFFERENT])
    others = np.setdiff1d(np.arange(len(misclassified)), selected)
    others = others[: GALLERY_IMAGES - len(selected)]
    return np.sort(np.append(selected, others))
