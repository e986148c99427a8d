import numpy as np
import pytest
import torch

from pipeline.interpret import neurons
from pipeline.model.network import Network
from pipeline.model.storage import snapshot


@pytest.fixture(scope="module")
def outputs(trained, mnist):
    return np.maximum(
        neurons.hidden_pre_activations(trained.network, mnist.test.images), 0
    )


def test_every_sum_of_30_neurons_and_100_pictures_is_that_of_float64(trained, mnist):
    exact = {
        name: t.astype(np.float64) for name, t in snapshot(trained.network).items()
    }
    logits = trained.network.logits(mnist.test.images[:100]).numpy()
    for image, of_torch in zip(mnist.test.images[:100], logits, strict=True):
        pixels = image.ravel() / 255
        first = exact["layer_1.weight"] @ pixels + exact["layer_1.bias"]
        second = exact["layer_2.weight"] @ np.maximum(first, 0) + exact["layer_2.bias"]
        found = neurons.pre_activations(trained.network, image)
        z = [one.z for one in found.values()]
        np.testing.assert_allclose(z, [*first, *second], atol=1e-9)
        np.testing.assert_allclose(z[20:], of_torch, atol=1e-4)
        np.testing.assert_allclose(
            neurons.softmax(np.array(z[20:])),
            torch.from_numpy(of_torch).softmax(dim=0),
            atol=1e-5,
        )


def test_first_sums_are_those_of_single_pictures(trained, mnist):
    found = neurons.hidden_pre_activations(trained.network, mnist.test.images[:1100])
    for row in (0, 999, 1000, 1099):
        sums = neurons.pre_activations(trained.network, mnist.test.images[row])
        z = [sums[f"N1{j}"].z for j in range(1, 21)]
        np.testing.assert_allclose(found[row], z, atol=1e-4)


def test_names_count_from_1_and_places_from_0():
    n120, n210 = neurons.find_neurons("N120,N210", hidden=20)
    assert (n120.layer, n120.number, n210.layer, n210.number) == (1, 20, 2, 10)
    assert len(neurons.find_neurons("all", hidden=20)) == 30
    assert len(neurons.find_neurons("N11,N12,N11", hidden=20)) == 2
    place = neurons.find_parameter("layer_1[300,5]", hidden=20)
    assert place.name == "layer_1[300,5]" and place.neuron.name == "N16"
    assert place.told == "the weight from pixel 300 (row 10, column 20) to neuron N16"
    assert neurons.find_parameter("layer_2.kernel[3, 7]", hidden=20).told.endswith(
        "N14 to neuron N28"
    )
    assert (
        neurons.find_parameter("layer_1.bias[5]", hidden=20).told
        == "the bias of neuron N16"
    )


@pytest.mark.parametrize("name", ["N10", "N121", "N20", "N211", "N31", "", "N11,"])
def test_neurons_that_are_not_there_are_refused(name):
    with pytest.raises(ValueError, match=r"neuron must be N11 to N120, N21 to N210"):
        neurons.find_neurons(name, hidden=20)


@pytest.mark.parametrize(
    "text",
    [
        *("layer_1[784,0]", "layer_1[0,20]", "layer_2[20,0]", "layer_2[0,10]"),
        *("layer_1[5]", "layer_1.bias[20]", "layer_1.bias[0,0]", "layer_3[0,0]"),
    ],
)
def test_places_that_are_not_there_are_refused(text):
    with pytest.raises(ValueError, match="weight must be layer_"):
        neurons.find_parameter(text, hidden=20)


def test_a_place_is_that_of_kerass_arrays(trained):
    history = trained.history()
    kernel, bias = trained.network.layer_1.get_weights()
    outgoing, _ = trained.network.layer_2.get_weights()
    for text, value in (
        ("layer_1[300,5]", kernel[300, 5]),
        ("layer_1.bias[5]", bias[5]),
        ("layer_2[3,7]", outgoing[3, 7]),
    ):
        values = neurons.find_parameter(text, hidden=20).values(history)
        assert len(values) == 21 and values[-1] == value


def test_1340_weights_are_bit_by_bit_what_they_were(trained, mnist):
    unlit = neurons.nonzero_counts(mnist.train.images) == 0
    assert unlit.sum() * 20 == 1_340
    kept = neurons.frozen_weights(trained.history())
    assert kept.shape == (784, 20) and kept[unlit].all()
    generator = torch.Generator().manual_seed(1)
    initial = Network(hidden=20, generator=generator).layer_1.get_weights()[0]
    final = trained.network.layer_1.get_weights()[0]
    assert final[unlit].tobytes() == initial[unlit].tobytes()
    assert (final == initial)[kept].all() and (final != initial)[~kept].mean() > 0.999


def test_a_neuron_that_is_off_is_one_whose_outgoing_weights_are_0(
    trained, mnist, outputs
):
    costs = neurons.ablation_costs(trained.network, outputs, mnist.test.labels)
    for neuron in (0, 3, 19):
        network = Network(hidden=20, generator=torch.Generator())
        network.load_state_dict(trained.network.state_dict())
        with torch.no_grad():
            network.layer_2.weight[:, neuron] = 0
        accuracies = [
            neurons.accuracies(
                each.logits(mnist.test.images).numpy(), mnist.test.labels
            )
            for each in (trained.network, network)
        ]
        np.testing.assert_allclose(costs[neuron], accuracies[0] - accuracies[1])
    assert costs[3, 0] > 0.1


def test_a_digit_without_pictures_has_no_accuracy_and_no_mean():
    logits = np.eye(10)[[1, 2, 2]]
    found = neurons.accuracies(logits, np.array([1, 2, 3], np.uint8))
    assert found.tolist() == [2 / 3, 0, 1, 1, *[0] * 7]
    means = neurons.means_by_label(np.array([[2.0], [4.0], [1.0]]), np.uint8([1, 1, 9]))
    assert means.tolist() == [[0, 3, *[0] * 7, 1]]


def test_firing_is_the_share_above_0(trained, mnist, outputs):
    fires = neurons.activation_rates(trained.network, mnist.test.images)
    np.testing.assert_allclose(fires, (outputs > 0).mean(axis=0))
    silent = Network(hidden=2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        silent.layer_1.bias[:] = torch.tensor([-1e6, 1e6])
    assert neurons.activation_rates(silent, mnist.test.images[:50]).tolist() == [0, 1]


def test_correlations_are_numpys_and_0_for_what_never_varies(outputs):
    found = neurons.correlations(outputs, outputs)
    np.testing.assert_allclose(found, np.corrcoef(outputs.T), atol=1e-6)
    constant = np.ones((len(outputs), 1))
    assert not neurons.correlations(constant, outputs).any()
    doubled = np.concatenate([outputs, 3 * outputs[:, [4]] + 1], axis=1)
    (closest, *_) = neurons.correlated_pairs(
        neurons.correlations(doubled, doubled), most=5
    )
    assert (closest.one, closest.other) == ("N15", "N121")
    assert closest.correlation == pytest.approx(1)
    assert neurons.correlated_pairs(np.ones((1, 1)), most=5) == []


def test_steps_downhill_come_to_the_line_of_least_squares(outputs, mnist):
    x, y = mnist.test.images[:, 17, 7] / 255, outputs[:, 3]
    m, c = np.polyfit(x, y, 1)
    end, steps = neurons.fit_line(x, y, steps=None), neurons.fit_line(x, y, steps=2000)
    assert (end.m, end.c) == pytest.approx((m, c))
    assert (steps.m, steps.c) == pytest.approx((m, c), rel=1e-4)
    assert end.explained == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
    missed = [neurons.fit_line(x, y, steps=n).missed for n in range(20)]
    assert missed == sorted(missed, reverse=True) and missed[-1] > end.missed
