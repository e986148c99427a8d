import pytest

from pipeline import ConfigError
from pipeline.interpret.names import find_neurons, parse_neurons, parse_parameter


def test_neurons_count_from_1():
    every = find_neurons(["all"], hidden=20)
    assert (every[0], every[19], every[20], every[-1]) == ("N11", "N120", "N21", "N210")
    assert len(every) == 30


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        *(("N12,N11,N12", ["N12", "N11"]), ("n11, N12", ["N11", "N12"])),
        ("ALL", ["all"]),
    ],
)
def test_case_spaces_and_repetitions_are_ignored(typed, names):
    assert parse_neurons(typed) == names


@pytest.mark.parametrize(
    ("typed", "name", "source", "neuron"),
    [
        ("layer_1[300,5]", None, "pixel 300 (row 10, column 20)", "N16"),
        ("layer_2.kernel[3, 7]", "layer_2[3,7]", "neuron N14", "N28"),
        ("layer_1.bias[5]", None, None, "N16"),
    ],
)
def test_a_parameter_is_described_by_what_it_connects(typed, name, source, neuron):
    location = parse_parameter(typed)
    location.check(hidden=20)
    assert location.name == (name or typed)
    part = f"weight from {source} to" if source else "bias of"
    assert location.describe() == f"the {part} neuron {neuron}"


@pytest.mark.parametrize(
    "text", ["N10", "N20", "N31", "", "N11,", "11", "N11;N12", "all,N11"]
)
def test_text_that_names_no_neuron_is_refused(text):
    with pytest.raises(ConfigError, match=r"^neuron must be N11 .* or all, got '"):
        parse_neurons(text)


@pytest.mark.parametrize("name", ["N121", "N211"])
def test_neurons_that_the_network_does_not_have_are_refused(name):
    with pytest.raises(ConfigError, match=r"neurons N11 to N120 and N21 to N210: neu"):
        find_neurons(parse_neurons(name), hidden=20)


@pytest.mark.parametrize(
    "text",
    [
        "layer_1[5]",
        "layer_1.bias[0,0]",
        "layer_1.bias[1,2]",
        "layer_3[0,0]",
        "layer_1.bias[" + "1" * 5000 + "]",
    ],
)
def test_text_that_names_no_parameter_is_refused(text):
    with pytest.raises(ConfigError, match=r"^weight must be layer_1\[300,5\] .* got"):
        parse_parameter(text)


@pytest.mark.parametrize(
    "name",
    [
        *("layer_1[784,0]", "layer_1[0,20]", "layer_2[20,0]", "layer_2[0,10]"),
        *("layer_1.bias[20]", "layer_2.bias[10]"),
    ],
)
def test_parameters_that_the_network_does_not_have_are_refused(name):
    with pytest.raises(ConfigError, match=r"this network has the weights layer_.* got"):
        parse_parameter(name).check(hidden=20)


def test_indices_are_those_of_the_keras_arrays(trained):
    history = trained.history
    kernel, bias = trained.network.layer_1.get_weights()
    outgoing, _ = trained.network.layer_2.get_weights()
    for name, value in (
        ("layer_1[300,5]", kernel[300, 5]),
        ("layer_1.bias[5]", bias[5]),
        ("layer_2[3,7]", outgoing[3, 7]),
    ):
        values = parse_parameter(name).values(history)
        assert len(values) == 21 and values[-1] == value
