import signal
import threading

import pytest
import torch

from pipeline import UserError
from pipeline.core.network import Network
from pipeline.model import save_network
from pipeline.training import program
from pipeline.training.program import export_network, start_exporter


def test_a_process_exports_networks_for_any_number_of_images(tmp_path, new_network):
    path, exported = tmp_path / "model.safetensors", tmp_path / "model.pt2"
    start_exporter(2)
    for hidden in (2, 2, 3):
        network = new_network(hidden)
        save_network(path, network)
        export_network(path, exported, hidden=hidden)
        loaded = torch.export.load(exported).module()
        for count in (0, 1, 5):
            pixels = torch.rand(count, 28, 28)
            expected = network(pixels).softmax(dim=1)
            torch.testing.assert_close(loaded(pixels), expected)


def test_an_export_that_fails_or_is_interrupted_does_not_affect_the_next(
    tmp_path, new_network
):
    paths = [tmp_path / f"{hidden}.safetensors" for hidden in (2, 3, 4)]
    exported = tmp_path / "model.pt2"
    with pytest.raises(FileNotFoundError, match=r"2\.safetensors") as error:
        export_network(paths[0], exported, hidden=2)
    assert "in _export\n    for name, tensor in load_file" in error.value.__notes__[-1]
    for hidden, path in enumerate(paths, start=2):
        save_network(path, new_network(hidden))
    export_network(paths[1], exported, hidden=3)
    # Tracing another network takes longer than this.
    ctrl_c = threading.get_ident(), signal.SIGINT
    timer = threading.Timer(0.01, signal.pthread_kill, ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        export_network(paths[2], exported, hidden=4)
    exported.unlink()
    export_network(paths[0], exported, hidden=2)  # not the interrupted result
    assert exported.exists()


def test_a_program_that_computes_something_else_is_rejected(
    tmp_path, new_network, monkeypatch
):
    path, exported = tmp_path / "model.safetensors", tmp_path / "model.pt2"
    save_network(path, new_network(2))
    # The other process has the class as it is on the disk.
    monkeypatch.setattr(Network, "forward", lambda network, pixels: pixels[:, 0, :10])
    with pytest.raises(UserError, match=r"different probabilities.*was edited"):
        export_network(path, exported, hidden=2)
    assert not exported.exists()


def test_an_exporting_process_that_was_killed_is_closed_and_replaced(
    tmp_path, new_network
):
    path, exported = tmp_path / "model.safetensors", tmp_path / "model.pt2"
    save_network(path, new_network(2))
    start_exporter(2)
    killed = program._exporter
    killed._process.kill()
    killed._process.wait()
    export_network(path, exported, hidden=2)
    assert exported.exists() and program._exporter is not killed
    (channel,) = killed.channels
    assert not channel._thread.is_alive() and channel._connection.closed
