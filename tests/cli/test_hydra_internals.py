"""These tests fail if a new version of Hydra changes what the package relies on."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf

from pipeline.cli.hydra_internals import header_package, ordered_files
from pipeline.cli.source import read

FILES = {
    "main.yaml": "defaults: [config, team: null, _self_]\nlr: 0.1",
    "config.yaml": "lr: 0.001\nhidden: 20\nseed: 1",
    "team/small.yaml": "# @package _global_\nhidden: 5\nseed: 2",
    "team/large.yaml": "hidden: 80",
}


@pytest.fixture
def folders(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / ("added" if "large" in name else "conf") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [tmp_path / "conf", tmp_path / "added"]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], []),
        (["~team"], []),
        (["team=small"], [("small.yaml", "team", "")]),
        (["team=large"], [("large.yaml", "team", "team")]),
        (["team@lr=large"], None),
    ],
)
def test_the_files_of_a_composition_are_in_the_order_of_hydra(
    folders, overrides, expected
):
    arguments = {"name": "main", "folders": folders, "read": read}
    if expected is None:
        with pytest.raises(HydraException):
            ordered_files(overrides, **arguments)
        return
    files, choices = ordered_files(overrides, **arguments)
    assert choices == {group: name[:-5] for name, group, _ in expected}
    found = [(path.name, group, package) for path, group, package, _ in files]
    first, last = ("config.yaml", "", ""), ("main.yaml", "", "")
    assert found == [first, *expected, last]


def test_the_files_merged_in_this_order_are_what_hydra_composes(folders):
    overrides = ["team=small"]
    arguments = {"name": "main", "folders": folders, "read": read}
    files, choices = ordered_files(overrides, **arguments)
    merged = OmegaConf.merge(*(config for *_, config in files))
    with initialize_config_dir(str(folders[0]), version_base="1.3"):
        assert compose("main", overrides) == merged
        composed = compose("main", overrides, return_hydra_config=True)
        assert choices.items() <= dict(composed.hydra.runtime.choices).items()


def test_a_header_names_the_package_of_a_file():
    assert header_package(FILES["team/small.yaml"]) == "_global_"
    assert header_package(FILES["team/large.yaml"]) is None
    with pytest.raises(ValueError):
        header_package("# @package a b c\nhidden: 5")
