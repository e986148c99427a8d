from pipeline.tracking import provenance


def test_provenance_names_commit_versions_and_processor():
    tags = provenance.tags()
    assert len(tags["git.commit"]) == 40 or tags["git.commit"] == "none"
    assert tags["version.python"].startswith("3.")
    assert tags["version.torch"] and tags["processor"]
    assert "+" not in tags["version.torch"]


def test_packages_are_listed_with_their_versions():
    assert "\nmlflow==3." in provenance.packages()
