"""How large a page may be, and what the page of a large network omits."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.network import snapshot
from pipeline.interpret.page import render_page, rendering
from pipeline.interpret.page.rendering import EPOCH_PAGE, select_data, select_epochs
from pipeline.model import HistoryFiles

NAME = "hidden=20 seed=1"


@pytest.fixture(scope="module")
def large(untrained, new_network):
    """Return a function that analyzes a network with the history of 30 epochs."""

    def analyze(hidden):
        states = [snapshot(new_network(hidden, seed=epoch)) for epoch in range(31)]
        names = states[0].keys()
        history = {name: np.stack([state[name] for state in states]) for name in names}
        return replace(untrained(hidden, 2000), histories=HistoryFiles(history))

    return analyze


def test_a_network_ten_times_as_large_fits_in_five_megabytes(large):
    html = render_page(large(200), name=NAME)
    assert 3_000_000 < len(html.encode()) <= 5_000_000


@pytest.mark.parametrize(("hidden", "has_all"), [(85, True), (95, False)])
def test_with_more_than_about_90_neurons_the_page_has_fewer_epochs(
    large, hidden, has_all
):
    _, data = select_data(large(hidden))
    assert (len(data.epochs) == 21) == has_all


@pytest.mark.parametrize(("hidden", "has_page"), [(500, True), (600, False)])
def test_with_more_than_about_550_neurons_there_is_no_page(large, hidden, has_page):
    assert bool(render_page(large(hidden), name=NAME)) == has_page


def test_a_network_with_many_parameters_is_rejected_before_its_page_is_built(
    analysis, new_network
):
    trained = replace(analysis.trained, network=new_network(2000))
    assert render_page(replace(analysis, trained=trained), name=NAME) is None


def test_a_weight_above_the_largest_float16_is_stored_as_the_largest(
    analysis, histories
):
    history = {name: tensor.copy() for name, tensor in histories.weights.items()}
    history["layer_2.bias"][0] = 1e6
    tensors, _ = select_data(replace(analysis, histories=HistoryFiles(history)))
    low, high = tensors["epochs.layer_2.bias"].astype(np.uint16)
    halves = (256 * high + low).view(np.float16)  # (10, 20)
    assert (halves[:, 0] == 65504).all() and np.abs(halves[:, 1:]).max() < 10


def test_epochs_are_evenly_spaced_from_the_first():
    assert select_epochs(21, capacity=99) == [*range(20)]  # without the final epoch
    assert select_epochs(101, capacity=99) == [*range(0, 100, 5)]
    assert select_epochs(21, capacity=2) == [0, 10]
    assert select_epochs(21, capacity=1) == [0] and select_epochs(0, capacity=99) == []


def test_a_page_that_would_be_too_large_is_not_rendered(analysis, html, monkeypatch):
    size = len(html.encode())
    for limit, has_page in ((size, True), (size - 1, False)):
        kind = replace(EPOCH_PAGE, max_bytes=limit)
        monkeypatch.setattr(rendering, "EPOCH_PAGE", kind)
        assert bool(render_page(analysis, name=NAME)) == has_page
