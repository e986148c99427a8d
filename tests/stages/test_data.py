def test_data_creates_the_files_once_and_prints_their_summary(empty_project):
    workspace = empty_project("data", store=False, digits=False)
    assert "digits.safetensors created" in workspace.call("data", dataset="digits")
    before = {path: path.stat().st_mtime_ns for path in workspace.files()}
    names = ["digits-components.safetensors", "digits-means.png", "digits-samples.png"]
    names += ["digits.json", "digits.safetensors"]
    assert [path.name for path in before if path.name[0] != "."] == names
    printed = workspace.call("data", dataset="digits")
    assert "digits.safetensors already exists" in printed
    rows = [line.split() for line in printed.splitlines()]
    assert ["all", "1,500", "297"] in rows and ["0", "151", "27"] in rows
    words = " ".join(printed.split())
    assert "Of the 784 pixels, 389 are 0 in all training images." in words  # the border
    assert words.endswith("python -m pipeline.train dataset=digits trains a network")
    assert before == {path: path.stat().st_mtime_ns for path in workspace.files()}
