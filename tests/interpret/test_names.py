import pytest

from pipeline.interpret.names import find_neurons, find_parameter


def test_neurons_count_from_1():
    every = find_neurons("all", hidden=20)
    assert (every[0], every[19], every[20], every[-1]) == ("N11", "N120", "N21", "N210")
    assert len(every) == 30
    assert find_neurons("N12,N11,N12", hidden=20) == ["N12", "N11"]


@pytest.mark.parametrize(
    ("typed", "name", "source", "neuron"),
    [
        ("layer_1[300,5]", None, "pixel 300 (row 10, column 20)", "N16"),
        ("layer_2.kernel[3, 7]", "layer_2[3,7]", "neuron N14", "N28"),
        ("layer_1.bias[5]", None, None, "N16"),
    ],
)
def test_a_parameter_is_described_by_what_it_connects(typed, name, source, neuron):
    location = find_parameter(typed, hidden=20)
    assert location.name == (name or typed)
    part = f"weight from {source} to" if source else "bias of"
    assert location.describe() == f"the {part} neuron {neuron}"


@pytest.mark.parametrize("name", ["N10", "N121", "N20", "N211", "N31", "", "N11,"])
def test_neurons_that_do_not_exist_are_refused(name):
    with pytest.raises(ValueError, match=r"neuron must be N11 to N120, N21 to N210"):
        find_neurons(name, hidden=20)


@pytest.mark.parametrize(
    "name",
    [
        *("layer_1[784,0]", "layer_1[0,20]", "layer_2[20,0]", "layer_2[0,10]"),
        *("layer_1[5]", "layer_1.bias[20]", "layer_1.bias[0,0]", "layer_3[0,0]"),
    ],
)
def test_parameters_that_do_not_exist_are_refused(name):
    with pytest.raises(ValueError, match="weight must be layer_"):
        find_parameter(name, hidden=20)


def test_indices_are_those_of_the_keras_arrays(trained):
    history = trained.history
    kernel, bias = trained.network.layer_1.get_weights()
    outgoing, _ = trained.network.layer_2.get_weights()
    for name, value in (
        ("layer_1[300,5]", kernel[300, 5]),
        ("layer_1.bias[5]", bias[5]),
        ("layer_2[3,7]", outgoing[3, 7]),
    ):
        values = find_parameter(name, hidden=20).values(history)
        assert len(values) == 21 and values[-1] == value
