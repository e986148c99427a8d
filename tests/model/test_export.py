import pytest
import torch

from pipeline.model import save_model
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
