import pytest

from pipeline import ConfigError
from pipeline.interpret import find_neurons, find_parameter


def test_neurons_count_from_1_and_case_spaces_and_repetitions_are_ignored():
    assert find_neurons("n12, N11,N12", hidden=20) == ["N12", "N11"]
    every = [f"N1{n}" for n in range(1, 21)] + [f"N2{n}" for n in range(1, 11)]
    assert find_neurons("All", hidden=20) == every


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
    ],
)
def test_a_parameter_is_described_by_what_it_connects(typed, name, description):
    location = find_parameter(typed, hidden=20)
    assert (location.name, location.describe()) == (name, f"the {description}")


@pytest.mark.parametrize(
    "text", ["N10", "N121", "N211", "N31", "", "N11,", "11", "N11;N12", "all,N11"]
)
def test_text_that_names_no_neuron_is_refused_with_the_range(text):
    with pytest.raises(ConfigError, match=r"^neuron must be N11 .* N120, .* got '"):
        find_neurons(text, hidden=20)


NO_PARAMETERS = ["1[5]", "1[784,0]", "1[0,20]", "2[20,0]", "2[0,10]", "3[0,0]"]
NO_PARAMETERS += ["1.bias[1,2]", "1.bias[20]", f"1.bias[{'1' * 5000}]"]


@pytest.mark.parametrize("text", NO_PARAMETERS, ids=range(len(NO_PARAMETERS)))
def test_text_that_names_no_parameter_is_refused_with_the_range(text):
    with pytest.raises(ConfigError, match=r"^weight must be .*\[783,19\].* got '"):
        find_parameter(f"layer_{text}", hidden=20)


def test_indices_are_those_of_the_keras_arrays(trained):
    kernel, bias = trained.network.layer_1.get_weights()
    outgoing, _ = trained.network.layer_2.get_weights()
    for name, value in (
        ("layer_1[300,5]", kernel[300, 5]),
        ("layer_1.bias[5]", bias[5]),
        ("layer_2[3,7]", outgoing[3, 7]),
    ):
        values = find_parameter(name, hidden=20).values(trained.history)
        assert len(values) == 21 and values[-1] == value
