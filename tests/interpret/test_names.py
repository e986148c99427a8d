import re

import pytest

from pipeline import ConfigError
from pipeline.interpret.names import find_neurons, parse_neurons, parse_parameter


def test_neurons_count_from_1_and_case_spaces_and_repetitions_are_ignored():
    assert parse_neurons("n12, N11,N12") == ["N12", "N11"]
    every = find_neurons(parse_neurons("ALL"), hidden=20)
    assert every == [f"N1{n}" for n in range(1, 21)] + [f"N2{n}" for n in range(1, 11)]


@pytest.mark.parametrize(
    ("typed", "name", "description"),
    [
        (
            "layer_1[300,5]",
            "layer_1[300,5]",
            "weight from pixel 300 (row 10, column 20) to neuron N16",
        ),
        (
            "layer_2.kernel[3, 7]",
            "layer_2[3,7]",
            "weight from neuron N14 to neuron N28",
        ),
        ("layer_1.bias[5]", "layer_1.bias[5]", "bias of neuron N16"),
        ("bias of N16", "layer_1.bias[5]", "bias of neuron N16"),
        (
            "M301 of N16",
            "layer_1[300,5]",
            "weight from pixel 300 (row 10, column 20) to neuron N16",
        ),
        ("w4 of n28", "layer_2[3,7]", "weight from neuron N14 to neuron N28"),
    ],
)
def test_a_parameter_is_described_by_what_it_connects(typed, name, description):
    location = parse_parameter(typed)
    location.check(hidden=20)
    assert (location.name, location.describe()) == (name, f"the {description}")


@pytest.mark.parametrize(
    "text", ["N10", "N20", "N31", "", "N11,", "11", "N11;N12", "all,N11"]
)
def test_text_that_names_no_neuron_is_rejected(text):
    with pytest.raises(
        ConfigError,
        match=r"^neuron must be a name .* or all, got '",
    ):
        parse_neurons(text)


@pytest.mark.parametrize(
    "text",
    ["layer_1[5]", "layer_1.bias[1,2]", "layer_3[0,0]", f"layer_1.bias[{'1' * 5000}]"],
)
def test_text_that_names_no_parameter_is_rejected(text):
    with pytest.raises(ConfigError, match=r"^weight must be a name such as .* got"):
        parse_parameter(text)


def test_names_of_a_larger_network_are_rejected_with_the_range():
    for text, unknown in {"N121": "N121", "n211": "N211", "N11, n121": "N121"}.items():
        rule = "neuron must be N11 to N120 or N21 to N210 in this network"
        with pytest.raises(ConfigError, match=f"^{rule}, got {unknown}$"):
            find_neurons(parse_neurons(text), hidden=20)
    for array, last in {
        "1[784,0]": "1[783,19]",
        "1[0,20]": "1.bias[19]",
        "2[20,0]": "2[19,9]",
        "2[0,10]": "2.bias[9]",
        "1.bias[20]": "1.bias[19]",
    }.items():
        with pytest.raises(ConfigError, match=re.escape(f"to layer_{last} ")):
            parse_parameter(f"layer_{array}").check(hidden=20)
    with pytest.raises(ConfigError, match=r"in this network, got layer_1\[784,5\]$"):
        parse_parameter("m785 of n16").check(hidden=20)


def test_indices_are_those_of_the_keras_arrays(trained, histories):
    kernel, bias = trained.network.layer_1.get_weights()
    outgoing, _ = trained.network.layer_2.get_weights()
    for name, value in (
        ("layer_1[300,5]", kernel[300, 5]),
        ("layer_1.bias[5]", bias[5]),
        ("layer_2[3,7]", outgoing[3, 7]),
    ):
        values = parse_parameter(name).values(histories.weights)
        assert len(values) == 21 and values[-1] == value
