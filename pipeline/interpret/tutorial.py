"""The tutorial that `inspect` prints: computes the values of tutorial.txt."""

from typing import Any

import numpy as np
from scipy.special import softmax

from pipeline.base.tables import table
from pipeline.base.text import counted, neuron_name, percent
from pipeline.core import CLASSES, PIXELS, WHITE
from pipeline.interpret.analysis import MAX_SHOWN_NEURONS, ModelAnalysis
from pipeline.interpret.rounding import rounded
from pipeline.interpret.templates import render_text

FEW_IMAGES = 0.01  # of the training images: a small number is worth mentioning


def render_tutorial(analysis: ModelAnalysis) -> str:
    """Return the tutorial, which explains the analysis in sentences."""
    network, test = analysis.trained.network, analysis.dataset.test
    image = analysis.example.image
    logits = network.logits(test.images[image : image + 1])[0].numpy()
    first, second = (int(k) for k in np.argsort(-logits, kind="stable")[:2])
    outputs = analysis.outputs[image, :MAX_SHOWN_NEURONS]
    rates = analysis.activation_rates
    dead, always_active = (
        [neuron_name(1, int(j)) for j in np.flatnonzero(rates == rate)]
        for rate in (0, 1)
    )
    others = analysis.frozen_others
    pixels = others[:, rates > 0].any(axis=1)
    return render_text(
        "tutorial.txt",
        analysis=analysis,
        spec=analysis.spec,
        arrays=_arrays(analysis),
        example=_example(analysis),
        image=image,
        label=int(test.labels[image]),
        outputs=", ".join(f"{rounded(float(y), 2)}" for y in outputs),
        last=neuron_name(1, len(outputs) - 1),
        logits=logits,
        first=first,
        second=second,
        probability=softmax(logits)[first],
        dead=dead,
        always_active=always_active,
        max_neurons=MAX_SHOWN_NEURONS,
        responses=_responses(analysis),
        others=int(others.sum()),
        others_of_dead=int(others[:, rates == 0].sum()),
        most_images=int(analysis.images_with_ink[pixels].max(initial=0)),
        few_images=FEW_IMAGES * len(analysis.split.train),
    )


def _example(analysis: ModelAnalysis) -> dict[str, Any]:
    """Return the numbers of `ModelAnalysis.example`, rounded so that they add up."""
    example = analysis.example
    image, neuron, pixel = example.image, example.neuron, example.pixel
    kernel, bias = analysis.trained.network.layer_1.get_weights()
    x = rounded(float(analysis.dataset.test.images[image].ravel()[pixel]) / WHITE, 2)
    m, c = rounded(float(kernel[pixel, neuron]), 2), rounded(float(bias[neuron]), 2)
    y = float(analysis.hidden_sums[image, neuron])
    sign = "-" if c < 0 else "+"
    return {
        "neuron": neuron_name(1, neuron),
        "pixel": pixel,
        "x": x,
        "m": m,
        "c": c,
        "line": f"{m} · {x} {sign} {abs(c)} = {rounded(m * x + c, 2)}",
        "sum": rounded(y, 2),
        "output": rounded(max(0.0, y), 2),
    }


def array_rows(analysis: ModelAnalysis) -> list[dict[str, Any]]:
    """Return the shape and the size of each array of parameters, and the reason."""
    neurons = counted(analysis.hidden, "neuron")
    spec = analysis.spec
    reasons = {
        "layer_1 weights": f"{PIXELS} pixels x {neurons}",
        "layer_1 biases": "one for each neuron",
        "layer_2 weights": f"{neurons} x {CLASSES} {spec.plural}",
        "layer_2 biases": f"one for each {spec.noun}",
    }
    network = analysis.trained.network
    arrays = [*network.layer_1.get_weights(), *network.layer_2.get_weights()]
    return [
        {"name": name, "keras_shape": array.shape, "torch_shape": array.T.shape}
        | {"size": array.size, "why": why}
        for (name, why), array in zip(reasons.items(), arrays, strict=True)
    ]


def _arrays(analysis: ModelAnalysis) -> str:
    rows = [
        [f"{v:,}" if k == "size" else f"{v}" for k, v in array.items()]
        for array in array_rows(analysis)
    ]
    total = analysis.trained.network.parameter_count
    rows.append(["total", "", "", f"{total:,}", ""])
    columns = ["array", "in Keras", "in PyTorch", "parameters", "why"]
    return table(columns, rows, left=["array", "why"])


def _responses(analysis: ModelAnalysis) -> str:
    """Return what each neuron responds to, in the order of falling ablation costs."""
    displayed, names = analysis.displayed_neurons, analysis.spec.class_names
    rows = []
    for j in displayed:
        rate = analysis.activation_rates[j]
        row = [neuron_name(1, j), percent(rate)]
        mean = analysis.mean_outputs[j]
        cost, *costs = analysis.costs[j]
        if analysis.hidden_sums[:, j].max() > 0:
            (highest, *_), (lowest, *_) = analysis.extremes(j)
            row += [names[mean.argmax()], names[mean.argmin()], f"{highest}, {lowest}"]
        else:
            # A neuron is dead if no training image activates it.
            row += ["dead" if rate == 0 else "none", "", ""]
        k = int(np.argmax(costs))
        affected = f"{names[k]} {percent(costs[k])}" if costs[k] > 0 else "none"
        rows.append([*row, f"{cost:z.{analysis.cost_decimals}%}", affected])
    columns = ["neuron", "active", "highest", "lowest", "images", "cost"]
    return table([*columns, "most affected"], rows, left=["neuron"])
