from pipeline.tracking import provenance


def test_versions_have_no_local_part():
    tags = provenance.tags()
    assert tags["version.python"].startswith("3.")
    assert tags["version.torch"] and "+" not in tags["version.torch"]
    assert "\nmlflow==3." in provenance.packages()
