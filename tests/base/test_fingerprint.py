import ast
import shutil

from pipeline.base import software
from pipeline.base.fingerprint import fingerprint
from pipeline.base.source_code import ImportedCode
from pipeline.cli import TrainConfig, defaults, validate
from pipeline.core.hyperparameters import Hyperparameters


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


def test_the_processor_includes_the_variant_of_matrix_products_that_mkl_is_set_to(
    monkeypatch,
):
    processor = software.processor.__wrapped__  # the result is cached
    monkeypatch.delenv("MKL_CBWR", raising=False)
    unset = processor()
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert processor() == f"{unset}, MKL_CBWR=COMPATIBLE"


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
    caught = [
        ast.unparse(node.body)
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Try) and node.handlers
    ]
    assert caught == ["array = np.asarray(images)"]
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
