import numpy as np
import pytest
from PIL.ImageColor import getrgb

from pipeline.core.network import network_from, snapshot
from pipeline.interpret import alignment, describe_comparison
from pipeline.interpret.comparison import comparison_images, comparison_rows
from pipeline.plots.common import FROZEN

ORDER = np.random.default_rng(1).permutation(20)
INVERSE = {int(a): b for b, a in enumerate(ORDER)}


def permuted(network):
    """Return a copy whose neuron k is neuron ORDER[k] of the network."""
    state = snapshot(network)
    for name in ("layer_1.weight", "layer_1.bias"):
        state[name] = state[name][ORDER]
    state["layer_2.weight"] = state["layer_2.weight"][:, ORDER].copy()
    return network_from(state)


def indices(matches):
    return {a: match.b for a, match in matches.items()}


compare = alignment.NetworkComparison.of


def test_a_permuted_copy_is_aligned_and_does_not_differ(trained, mnist):
    result = compare(trained.network, permuted(trained.network), mnist.test)
    for matches in (result.by_weights, result.by_activations):
        assert indices(matches) == INVERSE
        assert min(m.similarity for m in matches.values()) == pytest.approx(1)
    assert [*result.differences().values()] == [(0.0, 0.0)] * 4
    assert result.agreement == 1 and result.accuracy[0] == result.accuracy[1]
    moved = sum(a != b for a, b in INVERSE.items())
    text = describe_comparison(result)
    assert f"the same network, with {moved} neurons in different positions" in text
    row = next(line for line in text.splitlines() if line.startswith("N11 "))
    match = f"N1{INVERSE[0] + 1}"
    assert row.split() == ["N11", match, "+1.000", match, "+1.000"]


def test_neurons_that_are_never_active_are_matched_by_their_weights(trained, mnist):
    state = snapshot(trained.network)
    state["layer_1.bias"][[3, 7, 11]] = -1e6
    dead = network_from(state)
    result = compare(dead, permuted(dead), mnist.test)
    assert indices(result.by_activations) == INVERSE
    unknown = [a for a, m in result.by_activations.items() if np.isnan(m.similarity)]
    assert unknown == [3, 7, 11]
    text = describe_comparison(result)
    assert text.count(" constant ") == 3 and "+0.000" not in text


def test_neurons_that_differ_by_a_factor_are_matched_by_their_size(trained, mnist):
    state = snapshot(trained.network)
    for name in ("layer_1.weight", "layer_1.bias"):
        state[name][10:] = 2 * state[name][:10]
    state["layer_2.weight"][:, 10:] = 2 * state["layer_2.weight"][:, :10]
    doubled = network_from(state)
    result = compare(doubled, permuted(doubled), mnist.test)
    assert indices(result.by_weights) == indices(result.by_activations) == INVERSE
    assert [*result.differences().values()] == [(0.0, 0.0)] * 4


def test_the_table_of_a_large_comparison_names_the_file_with_all_matches(
    new_network, few
):
    network = new_network(120)
    text = describe_comparison(compare(network, network, few.val))
    assert "N1100 " in text and "N1101 " not in text
    assert "... and 20 more in matches.csv" in text


def test_each_weight_that_never_changed_is_gray_for_its_network(trained, few):
    result = compare(trained.network, trained.network, few.val)
    frozen = np.zeros((784, 20), bool)
    frozen[29, 4] = True  # row 1, column 1 of N15
    images = comparison_images(result, [frozen, None], scale=1.0)
    gray = [
        caption for caption, image in images if tuple(image[1, 1]) == getrgb(FROZEN)
    ]
    assert gray == ["A: N15"]


def test_the_matching_is_optimal_and_not_greedy():
    similarity = np.array([[0.9, 0.8], [0.8, 0.1]])
    assert indices(alignment.match_neurons(similarity)) == {0: 1, 1: 0}


def test_neurons_of_a_larger_network_have_no_match(trained, few, new_network):
    other = new_network(30, seed=2)
    result = compare(trained.network, other, few.val)
    assert len({*indices(result.by_weights).values()}) == 20
    assert max(match.similarity for match in result.by_weights.values()) < 0.9
    assert min(largest for largest, _ in result.differences().values()) > 0
    rest = "have no match; the other 20 are compared"
    assert f"10 neurons of B {rest}" in describe_comparison(result)
    one_more = describe_comparison(compare(trained.network, new_network(21), few.val))
    assert "1 neuron of B has no match; the other 20 are compared" in one_more
    swapped = compare(other, trained.network, few.val)
    assert sum(row["by_weights"] == "" for row in comparison_rows(swapped)) == 10
    assert len(comparison_images(swapped, [None, None], scale=1.0)) == 20 * 2
    text = describe_comparison(swapped)
    assert f"10 neurons of A {rest}" in text and "none" in text
