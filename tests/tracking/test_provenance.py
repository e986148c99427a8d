from pipeline.tracking import provenance


def test_versions_have_no_local_part():
    tags = provenance.tags()
    assert tags["version.python"].startswith("3.")
    assert tags["version.torch"] and "+" not in tags["version.torch"]
    assert "\nmlflow==3." in provenance.packages()


def test_source_hashes_are_of_the_modules_that_dvc_yaml_names():
    hashes = provenance.source_hashes("train")
    assert {"pipeline/training/loop.py", "pipeline/train.py"} <= set(hashes)
    assert {len(sha256) for sha256 in hashes.values()} == {64}
