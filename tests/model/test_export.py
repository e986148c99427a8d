import signal
import threading

import pytest
import torch

from pipeline.model import export, save_model
from pipeline.model.export import export_network, prepare_export


def test_a_process_exports_networks_for_any_number_of_images(tmp_path, new_network):
    path, exported = tmp_path / "model.safetensors", tmp_path / "model.pt2"
    prepare_export(2)
    for hidden in (2, 2, 3):
        network = new_network(hidden)
        save_model(path, network, {})
        export_network(path, exported, hidden=hidden)
        program = torch.export.load(exported).module()
        for count in (0, 1, 5):
            pixels = torch.rand(count, 28, 28)
            expected = network(pixels).softmax(dim=1)
            torch.testing.assert_close(program(pixels), expected)


def test_a_process_that_fails_gives_the_reason_and_is_replaced(tmp_path, new_network):
    path, exported = tmp_path / "model.safetensors", tmp_path / "model.pt2"
    with pytest.raises(ValueError, match=r"model\.safetensors could not be.*No such"):
        export_network(path, exported, hidden=2)
    save_model(path, new_network(2), {})
    export_network(path, exported, hidden=2)
    assert exported.exists()


def test_an_export_after_ctrl_c_does_not_get_the_answer_to_the_interrupted_one(
    tmp_path, new_network
):
    path, exported = tmp_path / "model.safetensors", tmp_path / "model.pt2"
    other = tmp_path / "other.safetensors"
    save_model(path, new_network(2), {})
    save_model(other, new_network(3), {})
    export_network(path, exported, hidden=2)
    waiting = threading.get_ident()
    # Tracing another network takes longer than this.
    timer = threading.Timer(0.01, signal.pthread_kill, (waiting, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        export_network(other, exported, hidden=3)
    exported.unlink()
    export_network(path, exported, hidden=2)
    assert exported.exists()


def test_messages_of_the_process_do_not_block_it(tmp_path, new_network, monkeypatch):
    monkeypatch.setattr(export, "_process", None)
    monkeypatch.setenv("TORCH_LOGS", "+all")
    path, exported = tmp_path / "model.safetensors", tmp_path / "model.pt2"
    for hidden in (2, 3):
        save_model(path, new_network(hidden), {})
        export_network(path, exported, hidden=hidden)
    monkeypatch.setattr(export, "LIMIT", 0)
    with pytest.raises(ValueError, match="could not be exported: it took more than 0"):
        export_network(path, exported, hidden=4)
