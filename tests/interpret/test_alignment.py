import numpy as np
import pytest
import torch

from pipeline import plots
from pipeline.interpret import alignment
from pipeline.model.network import Network


def permuted(network, order):
    """A copy whose neuron k is neuron order[k] of the network."""
    copy = Network(hidden=len(order), generator=torch.Generator())
    state = network.state_dict()
    for name in ("layer_1.weight", "layer_1.bias"):
        state[name] = state[name][order]
    state["layer_2.weight"] = state["layer_2.weight"][:, order]
    copy.load_state_dict(state)
    return copy


def test_a_permuted_copy_shows_the_permutation_and_no_difference(trained, mnist):
    order = np.random.default_rng(1).permutation(20)
    copy = permuted(trained.network, order)
    found = alignment.NetworkComparison.of(trained.network, copy, mnist.test)
    expected = {int(one): other for other, one in enumerate(order)}
    for matches in (found.by_weights, found.by_activations):
        assert {match.one: match.other for match in matches} == expected
        assert min(match.similarity for match in matches) == pytest.approx(1)
    apart = alignment.differences(trained.network, copy, found.by_weights)
    assert set(apart.values()) == {(0.0, 0.0)} and len(apart) == 4
    assert found.agree == 1 and found.accuracy[0] == found.accuracy[1]
    moved = sum(one != other for one, other in expected.items())
    assert f"the same network, with {moved} neurons" in [*found.told()][-1]


def test_neurons_that_never_fire_find_each_other_by_their_weights(trained, mnist):
    state = trained.network.state_dict()
    state["layer_1.bias"] = state["layer_1.bias"].clone()
    state["layer_1.bias"][[3, 7, 11]] = -1e6
    silent = Network(hidden=20, generator=torch.Generator())
    silent.load_state_dict(state)
    order = np.random.default_rng(1).permutation(20)
    found = alignment.NetworkComparison.of(silent, permuted(silent, order), mnist.test)
    expected = {int(one): other for other, one in enumerate(order)}
    assert {m.one: m.other for m in found.by_activations} == expected
    unknown = {m.one for m in found.by_activations if np.isnan(m.similarity)}
    assert unknown == {3, 7, 11}
    told = "\n".join(found.told())
    assert told.count(" silent") == 3 and "+0.000" not in told


def test_what_was_never_learned_is_grey_for_each_network(trained, few):
    found = alignment.NetworkComparison.of(trained.network, trained.network, few.val)
    dark = np.zeros(784, bool)
    dark[0] = True
    one, other = [*found.drawn([dark, None])[0].images.values()][:2]
    assert tuple(one[0, 0]) == plots.GRID != tuple(other[0, 0])


def test_of_all_pairings_the_best_is_found_where_taking_turns_would_not():
    similarity = np.array([[0.9, 0.8], [0.8, 0.1]])
    pairs = [(m.one, m.other) for m in alignment.match_neurons(similarity)]
    assert pairs == [(0, 1), (1, 0)]


def test_another_network_has_partners_that_are_less_alike(trained, few):
    other = Network(hidden=30, generator=torch.Generator().manual_seed(2))
    found = alignment.NetworkComparison.of(trained.network, other, few.val)
    assert len({match.other for match in found.by_weights}) == 20
    assert max(match.similarity for match in found.by_weights) < 0.9
    assert min(size for size, _ in differences_of(found).values()) > 0
    back = alignment.NetworkComparison.of(other, trained.network, few.val)
    assert sum(row["by_weights"] == "" for row in back.rows()) == 10
    told = "\n".join(back.told())
    assert len(back.drawn([None, None])) == 5 and "none" in told
    assert "10 of A have no partner" in told and "the 20 of each that have" in told
    assert "10 of B have no partner" in "\n".join(found.told())


def differences_of(found):
    return alignment.differences(found.one, found.other, found.by_weights)
