"""The folders of settings and results."""

from pathlib import Path

from pipeline.base import paths


def test_the_store_of_a_dvc_experiment_is_that_of_the_clone_not_of_another_project(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("PIPELINE_OUTPUTS", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert paths.store_dir() == paths.ROOT / "outputs"
    file = tmp_path / Path(paths.__file__).relative_to(paths.ROOT)
    file.parent.mkdir(parents=True)
    file.touch()
    assert paths.store_dir() == tmp_path / "outputs"
    assert paths.results_dir() == paths.ROOT / "outputs"  # results stay in the copy
