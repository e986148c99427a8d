import ast
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import numpy as np
import torch

from pipeline.base.source_code import ImportedCode
from pipeline.cli import TrainConfig, defaults, validate
from pipeline.core.dataset import DataFile, Dataset, LabeledImages
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import train_network
from pipeline.core.margin import min_margin
from pipeline.core.network import network_from
from pipeline.core.threads import one_thread
from pipeline.records import software
from pipeline.records.fingerprint import fingerprint

# The processes of this program import PyTorch once. PyTorch and MKL read the variables
# when they first compute. Each process prints its processor and a hash of its weights.
PROGRAM = """
import hashlib, os, sys
from pathlib import Path
import numpy as np
from pipeline.records.software import processor
from pipeline.cli import defaults
from pipeline.core.dataset import DataFile, Dataset, LabeledImages
from pipeline.core.hyperparameters import Hyperparameters
from pipeline.core.loop import train_network
from pipeline.core.threads import one_thread

def main():
    random = np.random.default_rng(1)
    images = random.integers(256, size=(600, 28, 28), dtype="uint8")
    labeled = LabeledImages(images, random.integers(10, size=600, dtype="uint8"))
    dataset = Dataset(DataFile(Path("random"), ""), labeled, labeled)
    sha256 = hashlib.sha256()
    with one_thread():
        for hidden, batch_size in ((1, 32), (20, 37), (50, 128)):
            given = {"hidden": hidden, "batch_size": batch_size, "epochs": 1}
            _, last = train_network(dataset, Hyperparameters(**defaults() | given))
            for tensor in last.tensors.values():
                sha256.update(tensor)
    print(processor(), sha256.hexdigest(), sep="; ", flush=True)

for variable in sys.argv[1:]:
    if os.fork() == 0:
        os.environ.update([variable.split("=")])
        main()
        os._exit(0)
    assert os.wait()[1] == 0
"""


def hyperparameters(**changed):
    return Hyperparameters(**defaults() | {"epochs": 5, **changed})


def test_the_server_and_the_name_of_a_run_do_not_change_its_fingerprint():
    first, other = (
        validate(
            TrainConfig, defaults() | {"server": f"http://{name}", "run_name": name}
        )
        for name in ("a", "b")
    )
    assert first != other
    assert len({fingerprint(x.hyperparameters, "0" * 64) for x in (first, other)}) == 1


def test_processes_with_the_same_processor_train_networks_with_the_same_weights():
    variables = ["OTHER=1", "MKL_CBWR=COMPATIBLE", "ATEN_CPU_CAPABILITY=default"]
    variables += [f"MKL_ENABLE_INSTRUCTIONS={name}" for name in ("AVX2", "SSE4_2")]
    command = [sys.executable, "-c", PROGRAM, *variables]
    printed = subprocess.run(command, stdout=PIPE, text=True, check=True).stdout
    found = {line.split("; ")[0]: line for line in printed.splitlines()}
    assert {*found.values()} == {*printed.splitlines()}
    # Otherwise, the variables would have no effect, and nothing would be tested.
    assert len(found) > 1 or not torch.backends.mkl.is_available()


def test_a_fingerprint_depends_on_all_that_determines_the_results(
    tmp_path, monkeypatch
):
    first = fingerprint(hyperparameters(), "0" * 64)
    assert fingerprint(hyperparameters(), "0" * 64) == first
    others = [{"split": "holdout"}, {"hidden": 21}, {"seed": 2}, {"epochs": 6}]
    others += [{"batch_size": 33}, {"lr": 0.002}]
    different = [
        *(fingerprint(hyperparameters(**x), "0" * 64) for x in others),
        fingerprint(hyperparameters(), "1" * 64),
    ]
    with monkeypatch.context() as patch:
        patch.setattr(software, "torch_version", lambda: "2.0.0")
        different.append(fingerprint(hyperparameters(), "0" * 64))
    assert {*hyperparameters().model_dump()} == {key for each in others for key in each}
    folder = shutil.copytree(software.FOLDER, tmp_path / "core")
    for name in ("loop.py", "new.py"):
        with (folder / name).open("a") as module:
            module.write("changed = 1\n")
        with monkeypatch.context() as patch:  # as in a new process
            patch.setattr(software, "CORE", ImportedCode(folder))
            different.append(fingerprint(hyperparameters(), "0" * 64))
    assert len({first, *different}) == 1 + len(different)
    assert fingerprint(hyperparameters(), "0" * 64) == first


def test_core_catches_no_error_that_it_raises_because_texts_are_not_hashed():
    sources = [path.read_text() for path in software.FOLDER.glob("*.py")]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    tried = [
        node
        for attempt in nodes
        if isinstance(attempt, ast.Try) and attempt.handlers
        for statement in attempt.body
        for node in ast.walk(statement)
    ]
    called = {ast.unparse(x.func) for x in tried if isinstance(x, ast.Call)}
    assert called and all(name.startswith("np.") for name in called)
    # Other operations, such as an index, can raise only errors of Python and NumPy.
    assert not any(isinstance(node, ast.Raise) for node in tried)
    assert not any("suppress" in source for source in sources)


def test_in_core_the_hash_of_a_raise_statement_contains_the_type_of_the_error():
    raised = [
        node.exc
        for path in software.FOLDER.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise)
    ]
    assert raised  # the arguments are not hashed
    assert all(isinstance(x, ast.Call) and isinstance(x.func, ast.Name) for x in raised)


def test_core_uses_only_functions_of_numpy_whose_results_are_exact_or_rounded():
    exact = {"asarray", "flatnonzero", "require", "sort", "sqrt", "unique", "zeros"}
    used = {
        node.attr
        for path in software.FOLDER.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "np"
    }
    rounded, types = {"quantile"}, {"float64", "ndarray", "uint8"}
    assert used <= exact | rounded | types  # a fingerprint has no version of NumPy


def test_training_uses_only_methods_of_arrays_whose_results_are_exact():
    used = set()

    def record(frame, event, called):
        if (
            event == "c_call"
            and Path(frame.f_code.co_filename).parent == software.FOLDER
        ):
            array = getattr(called, "__self__", None)
            if isinstance(array, np.ndarray | np.generic):
                used.add((called.__name__, array.dtype.name))

    random = np.random.default_rng(1)
    images = random.integers(256, size=(70, 28, 28), dtype="uint8")
    labeled = LabeledImages(images, random.integers(10, size=70, dtype="uint8"))
    dataset = Dataset(DataFile(Path("random"), ""), labeled, labeled)
    previous = sys.getprofile()
    sys.setprofile(record)
    try:
        with one_thread():
            _, last = train_network(dataset, hyperparameters(epochs=1))
            min_margin(network_from(last.tensors), labeled)
    finally:
        sys.setprofile(previous)
    # The mean of Booleans is a number of images, divided by another one.
    exact = {("copy", "float32"), ("astype", "float32"), ("mean", "bool")}
    assert ("mean", "bool") in used and used <= exact
