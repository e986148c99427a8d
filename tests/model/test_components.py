import numpy as np
import pytest

from pipeline import datasets
from pipeline.model import components, load_components, storage, store_components


@pytest.fixture
def data(empty_project, idx_folder):
    """A workspace in use, with a data set of 600 images."""
    workspace = empty_project("components", store=False)
    with workspace.captured():
        yield datasets.load(str(idx_folder), folder=workspace.outputs / "data")


def test_components_are_stored_once_for_each_training_set_and_code(data, monkeypatch):
    computed = load_components(data.sha256, "exercise")
    (path,) = (data.path.parents[1] / "components").iterdir()
    content, time = path.read_bytes(), path.stat().st_mtime_ns
    assert len(content) < 410_000
    store_components(data.path, "exercise", sha256=data.sha256)
    assert path.stat().st_mtime_ns == time
    path.unlink()
    store_components(data.path, "exercise", sha256=data.sha256)
    assert path.read_bytes() == content
    data.path.unlink()
    images = data.test.images, data.test.labels
    errors = load_components(data.sha256, "exercise").reconstruction_error(*images)
    np.testing.assert_array_equal(errors, computed.reconstruction_error(*images))
    monkeypatch.setattr(components, "_CODE", "01234567")
    assert load_components(data.sha256, "exercise") is None


def test_without_the_data_there_are_no_components(data):
    assert load_components("0" * 64, "exercise") is None
    assert load_components(f"../{data.sha256}", "exercise") is None
    with pytest.raises(ValueError, match=rf"{data.path.name} changed: its sha256 must"):
        store_components(data.path, "exercise", sha256="0" * 64)


def test_a_damaged_file_is_refused_by_name_with_the_remedy(tmp_path):
    means, axes = np.zeros((10, 784), np.uint8), np.zeros((10, 50, 784), np.int8)
    path, arrays = tmp_path / "a.safetensors", {"means": means, "components": axes}
    storage.write_tensors(path, arrays, {"max_error": 0.5})
    assert components.read_components(path).max_error == 0.5
    for damaged, max_error in [
        (arrays, -1.0),
        (arrays, 10**400),
        (arrays, float("nan")),
        ({**arrays, "components": axes[:, :2]}, 0.5),
        ({**arrays, "components": axes.astype(np.uint8)}, 0.5),
        ({"components": axes}, 0.5),
    ]:
        storage.write_tensors(path, damaged, {"max_error": max_error})
        with pytest.raises(ValueError, match=r"a\.safetensors is damaged: delete it"):
            components.read_components(path)
