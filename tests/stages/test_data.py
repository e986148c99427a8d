def test_data_creates_the_file_once_and_prints_its_summary(empty_project):
    workspace = empty_project("data", store=False)
    assert "digits.safetensors created" in workspace.call("data", dataset="digits")
    names = ["digits-means.png", "digits-samples.png", "digits.json"]
    names.append("digits.safetensors")
    files = [p.name for p in workspace.files() if not p.name.startswith(".")]
    assert files == names
    printed = workspace.call("data", dataset="digits")
    assert "digits.safetensors exists" in printed
    assert "train  1,500 images; per class [151, 151" in printed


def test_the_summary_of_mnist_names_67_unused_pixels(workspace):
    assert "67 of the 784 pixels are 0 in all" in workspace.call("data")
