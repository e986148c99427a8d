from pipeline import paths


def test_outputs_can_be_moved_and_outlive_the_copy_of_a_dvc_experiment(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PIPELINE_OUTPUTS", "")  # the same as unset
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert paths.outputs_dir() == paths.store_dir() == paths.ROOT / "outputs"
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "dvc"))
    assert paths.outputs_dir() == paths.ROOT / "outputs"
    assert paths.store_dir() == tmp_path / "dvc" / "outputs"
    monkeypatch.setenv("PIPELINE_OUTPUTS", str(tmp_path / "x"))
    assert paths.outputs_dir() == paths.store_dir() == tmp_path / "x"


def test_an_installed_wheel_writes_to_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "site-packages" / "pipeline" / "conf").mkdir(parents=True)
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "site-packages" / "pipeline")
    monkeypatch.delenv("PIPELINE_OUTPUTS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert paths.conf_dir() == paths.PACKAGE / "conf"
    assert paths.outputs_dir() == paths.store_dir() == tmp_path / "outputs"
