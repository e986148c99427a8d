from pipeline.tracking import provenance


def test_provenance_names_commit_versions_and_processor():
    known = provenance.tags()
    assert len(known["git.commit"]) == 40 or known["git.commit"] == "none"
    assert known["version.python"].startswith("3.")
    assert known["version.torch"] and known["processor"]
    assert "+" not in known["version.torch"]


def test_packages_are_listed_with_their_versions():
    assert "\nmlflow==3." in provenance.packages()
