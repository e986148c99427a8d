from pipeline.tracking import provenance


def test_provenance_names_commit_versions_and_processor():
    tags = provenance.tags()
    assert len(tags["git.commit"]) == 40 or tags["git.commit"] == "none"
    assert tags["version.python"].startswith("3.")
    assert tags["version.torch"] and tags["processor"]
    assert "+" not in tags["version.torch"]


def test_packages_are_listed_with_their_versions():
    assert "\nmlflow==3." in provenance.packages()


def test_source_hashes_are_of_the_modules_that_dvc_yaml_names():
    hashes = provenance.source_hashes("train")
    assert {"pipeline/training/loop.py", "pipeline/train.py"} <= set(hashes)
    assert all(path.startswith("pipeline/") for path in hashes)
    assert {len(sha256) for sha256 in hashes.values()} == {64}
