"""Images of weights: of a neuron, of the terms of its sum, of matched neurons.

They are rows for `plots.image_rows`; `output` writes them.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from pipeline import SIDE
from pipeline.interpret.alignment import NetworkComparison
from pipeline.interpret.analysis import EXTREMES, ModelAnalysis, percent
from pipeline.interpret.forward import PreActivation
from pipeline.plots import MAX_TEMPLATES, ImageRow, diverging_colours

IMAGES_PER_ROW = 8  # of matched neurons, which are four pairs


def neuron_images(analysis: ModelAnalysis, neuron: int) -> ImageRow:
    """Return a neuron's weights and the test images with its most extreme sums."""
    weights = analysis.trained.network.layer_1.get_weights()[0].T[[neuron]]
    scale = float(np.quantile(np.abs(weights), 0.99))
    grey = analysis.always_zero
    images = {"weights": diverging_colours(weights, scale=scale, frozen=grey)[0]}
    order, sums = analysis.images_by_sum(neuron), analysis.sums[:, neuron]
    extremes = [("high", row) for row in order[:EXTREMES]]
    extremes += [("low", row) for row in order[: -EXTREMES - 1 : -1]]
    for name, row in extremes:
        images[f"{name} {sums[row]:+.1f}: #{row}"] = analysis.dataset.test.images[row]
    text = [
        f"N1{neuron + 1}",
        f"active for {percent(analysis.rates[neuron])} of the images",
        f"ablation cost: {analysis.costs[neuron, 0]:.2%}",
        f"weights: red -{scale:.2f} or less,",
        f"white 0, blue +{scale:.2f} or more,",
        "grey: the pixel is always 0",
    ]
    return ImageRow(images, text)


def term_images(
    pre_activation: PreActivation, always_zero: Bool[np.ndarray, "784"]
) -> ImageRow:
    """Return the weights, pixels and products of a neuron of layer_1.

    The weights of pixels that were 0 in all training images are grey. Their products
    are not: in another image such a pixel can be above 0.
    """
    images = []
    for name, values, grey in (
        ("weight", pre_activation.weights, always_zero),
        ("= product", pre_activation.terms, None),
    ):
        scale = float(np.abs(values).max())
        colours = diverging_colours(values[None], scale=scale, frozen=grey)[0]
        caption = f"{name}: red -{scale:.2f}, white 0, blue +{scale:.2f}"
        images.append((caption, colours))
    pixels = np.round(pre_activation.inputs * 255).astype(np.uint8)
    images.insert(1, ("x pixel", pixels.reshape(SIDE, SIDE)))
    z, bias = pre_activation.z, pre_activation.bias
    text = [
        f"{pre_activation.neuron.name}: 784 products",
        f"{z - bias:+.4f} sum of the products",
        f"{bias:+.4f} bias C",
        f"{z:+.4f} sum y",
        f"{pre_activation.relu:+.4f} after ReLU",
        "",
        "grey: the pixel is 0 in all",
        "training images",
    ]
    return ImageRow(dict(images), text)


def comparison_images(
    comparison: NetworkComparison, unlearned: Sequence[Bool[np.ndarray, "784"] | None]
) -> list[ImageRow]:
    """Return the weights of neurons matched by activations, most similar first.

    Args:
        comparison: The comparison of networks A and B.
        unlearned: For A and for B the pixels whose weights never changed; drawn grey.
    """
    kernels = [n.layer_1.get_weights()[0].T for n in (comparison.a, comparison.b)]
    scale = float(np.quantile(np.abs(np.concatenate(kernels)), 0.99))
    matches = sorted(
        comparison.by_activations.values(),
        key=lambda match: -np.nan_to_num(match.similarity),
    )
    images = {}
    for match in matches[:MAX_TEMPLATES]:
        captions = f"A  N1{match.a + 1}", f"B  N1{match.b + 1} {match.similarity_text}"
        for network, neuron in enumerate((match.a, match.b)):
            weights, grey = kernels[network][[neuron]], unlearned[network]
            colours = diverging_colours(weights, scale=scale, frozen=grey)[0]
            images[captions[network]] = colours
    pairs = [*images.items()]
    return [
        ImageRow(dict(pairs[k : k + IMAGES_PER_ROW]), [])
        for k in range(0, len(pairs), IMAGES_PER_ROW)
    ]
