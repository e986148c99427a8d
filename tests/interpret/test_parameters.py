from pipeline.datasets import spec
from pipeline.interpret.parameters import parameter_arrays


def test_the_arrays_have_the_shapes_of_keras_and_sizes_that_add_up(new_network):
    network = new_network(20)
    arrays = parameter_arrays(network, spec("mnist"))
    assert [(a.name, a.size, a.keras_shape) for a in arrays] == [
        ("layer_1 kernel", 15_680, (784, 20)),
        ("layer_1 bias", 20, (20,)),
        ("layer_2 kernel", 200, (20, 10)),
        ("layer_2 bias", 10, (10,)),
    ]
    weights = [w for layer in network.children() for w in layer.get_weights()]
    assert [w.shape for w in weights] == [a.keras_shape for a in arrays]
    assert sum(a.size for a in arrays) == network.parameter_count == 15_910


def test_the_reasons_name_neurons_and_classes(new_network):
    arrays = parameter_arrays(new_network(1), spec("fashion_mnist"))
    assert [a.why for a in arrays] == [
        "784 pixels x 1 neuron",
        "one for each neuron",
        "1 neuron x 10 garments",
        "one for each garment",
    ]
