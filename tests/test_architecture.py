"""Who may import whom, and which heavy package lives where."""

import ast
from pathlib import Path

import pytest

PIPELINE = Path(__file__).resolve().parent.parent / "pipeline"

# Arrows go down: a module imports what stands in its line, and nothing else of ours.
MAY_IMPORT = {
    "atomic": set(),
    "screen": set(),
    "config": {"screen"},
    "figures": set(),
    "metrics": set(),
    "network": set(),
    "provenance": set(),
    "sources": {"atomic"},
    "copies": {"atomic", "screen"},
    "tracking": {"atomic", "copies", "provenance"},
    "datasets": {"atomic", "figures", "sources"},
    "checkpoint": {"atomic", "network"},
    "loop": {"datasets", "metrics", "network"},
    "unfinished": {"atomic", "checkpoint", "loop", "network"},
    "record": {"figures", "metrics", "tracking", "unfinished"},
    "paper": set(),
    "digits": {"paper"},
    "pictures": {"paper", "screen"},
    "tables": set(),
    "testsets": {"datasets", "digits", "pictures", "screen"},
    "familiar": {"checkpoint", "network"},
    "chosen": {"atomic", "checkpoint", "familiar", "tracking"},
    "scores": {"familiar", "figures", "metrics", "network", "testsets"},
    "report": {"checkpoint", "datasets", "familiar", "metrics", "network", "neurons"},
    "reproduce": {"checkpoint", "datasets", "network", "sources", "tracking"},
    "neurons": {"network"},
    "ledger": {"figures", "neurons"},
    "matching": {"datasets", "figures", "network", "neurons"},
    "findings": {"checkpoint", "datasets", "figures", "neurons", "tables"},
    "commandline": {"config"},
    "command": {"atomic", "commandline", "config", "screen"},
    "sweep": {"atomic", "command", "commandline", "config", "screen"}
    | {"datasets", "figures", "provenance", "tracking"},
}
STAGES = {"data", "train", "evaluate", "inspect", "predict", "sync"}
ONLY_IN = {"hydra": {"command", "commandline"}, "omegaconf": {"command", "config"}}
ONLY_IN |= {
    "mlflow": {"copies", "tracking"},
    "matplotlib": {"figures"},
    "pydantic": {"config"},
}


def imports(path):
    """Every module that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "pipeline":
            yield from (f"pipeline.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def modules():
    return sorted([*PIPELINE.glob("[!_]*.py"), *PIPELINE.glob("*/*.py")])


def name(path):
    return path.parent.name if path.stem == "__init__" else path.stem


def test_every_module_has_its_place():
    assert {name(path) for path in modules()} == {*MAY_IMPORT, *STAGES}


@pytest.mark.parametrize("path", modules(), ids=name)
def test_arrows_only_go_down(path):
    ours = {
        found.split(".")[1] for found in imports(path) if found.startswith("pipeline.")
    }
    if path.stem in STAGES:
        assert not ours & STAGES, "stages meet through files, never one another"
    else:
        assert ours <= MAY_IMPORT[name(path)]


@pytest.mark.parametrize("path", modules(), ids=name)
def test_hydra_mlflow_and_matplotlib_live_in_one_module_each(path):
    found = {found.split(".")[0] for found in imports(path)}
    assert not {
        package for package in found if path.stem not in ONLY_IN.get(package, path.stem)
    }
