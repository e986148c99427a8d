"""Packages import in one direction, and one package uses each large library."""

import ast
import builtins
import io
import keyword
import re
import subprocess
import sys
import tokenize
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from pipeline.__main__ import STAGES

PIPELINE = Path(__file__).resolve().parent.parent / "pipeline"

COMMON = ["core", "base", "records"]  # each imports only those before it
# The packages that each package imports, in addition to the common ones.
MAY_IMPORT = {
    "core": set(),
    "base": set(),
    "records": set(),
    "cli": set(),
    "execution": set(),
    "plots": set(),
    "images": set(),
    "tracking": set(),
    "datasets": {"plots"},  # two plots belong to the file of a data set
    "model": {"datasets", "tracking"},
    "training": {"cli", "datasets", "execution", "model", "plots", "tracking"},
    "evaluation": {"datasets", "images", "model", "plots"},
    "integers": {"model"},
    "teaching": {"datasets", "model", "training"},
    "interpret": {"datasets", "images", "integers", "model", "plots", "tracking"},
    "deploy": {"execution", "integers", "model", "plots", "sweeps"},
    "sweeps": {"cli", "datasets", "execution", "model", "plots", "tracking"}
    | {"training"},
}
# The package with the implementation of each stage, in a module of the same name.
IMPLEMENTATIONS = {
    "data": "datasets",
    "train": "training",
    "evaluate": "evaluation",
    "predict": "evaluation",
    "inspect": "interpret",
    "export": "deploy",
    "ui": "tracking",
    "sync": "tracking",
    "homework": "teaching",
    "grade": "teaching",
}
# The parts of tracking, each with those that it may import.
PARTS_OF_TRACKING = {"store": set(), "copies": {"store"}}
LIBRARIES = {
    "hydra": "cli",
    "matplotlib": "plots",
    "mlflow": "tracking",
    "optuna": "sweeps",
    "rich": "base",
}
MODULES = sorted(PIPELINE.rglob("*.py"))


def names_imported_by(node):
    """Return the modules, and the names in modules, that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert not node.level, "imports are absolute"
        assert node.names[0].name != "*", "names are imported by name"
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


@cache
def imports(path):
    """Return every module that a file imports, at its top or inside a function."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return [name for node in nodes for name in names_imported_by(node)]


def place_of(path):
    """Return the path of a module in pipeline/; two modules can have the same name."""
    return path.relative_to(PIPELINE).as_posix()


def package_of(path):
    """Return the package of a module, or the name of a module next to the packages.

    The implementation of a stage counts as the stage: it can use all packages.
    """
    parts = path.relative_to(PIPELINE).with_suffix("").parts
    return parts[-1] if IMPLEMENTATIONS.get(parts[-1]) == parts[0] else parts[0]


def defined_names(module):
    """Return the names that a module of the project defines or imports."""
    folder = PIPELINE.parent / module.replace(".", "/")
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    names = {each.stem for each in folder.glob("*")} if folder.is_dir() else set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
    return names


def test_the_programs_in_texts_of_tests_import_names_that_exist():
    line = re.compile(r"^\s*from (pipeline[\w.]*) import ([\w, ]+)", re.MULTILINE)
    for path in Path(__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for module, names in line.findall(node.value):
                    imported = {name.split()[0] for name in names.split(",")}
                    assert imported <= defined_names(module), path


def test_every_module_is_in_a_package_or_a_stage():
    existing = {package_of(path) for path in MODULES}
    assert existing == {*MAY_IMPORT, *STAGES, "__init__", "__main__"}


@pytest.mark.parametrize("package", [*MAY_IMPORT, "__init__"])
def test_packages_import_in_one_direction(package):
    imported = {
        name.split(".")[1]
        for path in MODULES
        if package_of(path) == package
        for name in imports(path)
        if name.startswith("pipeline.")
    }
    common = COMMON[: COMMON.index(package)] if package in COMMON else COMMON
    others = imported & {*MAY_IMPORT, *STAGES, "__main__"} - {package, *common}
    assert others == MAY_IMPORT.get(package, set())


def test_shapes_of_arrays_are_checked_in_each_package_that_states_them(pytestconfig):
    packages = {
        f"pipeline.{package_of(path)}"
        for path in MODULES
        if "jaxtyping" in {name.split(".")[0] for name in imports(path)}
    }
    *checked, checker = pytestconfig.getoption("jaxtyping_packages").split(",")
    assert {*checked} == packages and checker == "beartype.beartype"


@pytest.mark.parametrize("part", PARTS_OF_TRACKING)
def test_the_parts_of_tracking_import_in_one_direction(part):
    imported = {
        name
        for path in PIPELINE.glob(f"tracking/{part}/*.py")
        for name in imports(path)
        if name.startswith("pipeline.tracking")
    }
    parts = {part, *PARTS_OF_TRACKING[part]}
    assert {name.split(".")[2] for name in imported} <= parts


def test_each_module_that_can_run_in_several_processes_says_where_it_runs():
    paths = {*PIPELINE.glob("tracking/**/*.py")} - {PIPELINE / "tracking/__init__.py"}
    # All modules of the store run where the docstring of their package says.
    paths -= {*PIPELINE.glob("tracking/store/*.py")}
    package = PIPELINE / "tracking/store/__init__.py"
    for path in {*paths, package, PIPELINE / "base/helper_process.py"}:
        sentence = ast.get_docstring(ast.parse(path.read_text())).split("\n\n")[1]
        assert sentence.startswith("Runs in "), path


@pytest.mark.parametrize("name", ["local", "cluster"])
def test_an_executor_names_its_functions_that_run_in_other_processes(name):
    text = (PIPELINE / f"execution/{name}.py").read_text()
    docstring = ast.get_docstring(ast.parse(text))
    _, others = re.split("^# The functions below run .*$", text, flags=re.MULTILINE)
    functions = [node.name for node in ast.parse(others).body]
    assert functions and all(f"`{each}`" in docstring for each in functions)


def test_the_store_asks_no_server():
    for path in PIPELINE.glob("tracking/store/*.py"):
        assert not {"http.client", "urllib.request.urlopen"} & {*imports(path)}


def test_the_implementations_of_the_stages_close_no_cycle_of_packages():
    graph = {package: set() for package in MAY_IMPORT}
    for path in MODULES:
        package = path.relative_to(PIPELINE).with_suffix("").parts[0]
        if package in MAY_IMPORT:
            graph[package] |= {
                name.split(".")[1] for name in imports(path) if "pipeline." in name
            } & {*MAY_IMPORT} - {package}
    assert [*TopologicalSorter(graph).static_order()]  # raises an error for a cycle


@pytest.mark.parametrize(
    ("names", "exceptions"),
    [
        # sweeps has a command too, and errors compares paths.
        ({"base.paths.store_dir"}, {"sweeps/sweep.py", "base/error_messages.py"}),
        # recorded_training has the folder as an argument.
        ({"base.results_folder.ResultsFolder"}, {"training/recorded_training.py"}),
        # schema checks a setting.
        ({"base.paths.data_dir"}, {"sweeps/sweep.py", "cli/schema.py"}),
        # results_folder decides where results go, errors explains errors, and selection
        # finds the last network.
        (
            {"base.paths.results_dir"},
            {"base/results_folder.py", "base/error_messages.py", "model/selection.py"},
        ),
    ],
)
def test_only_commands_look_up_folders(names, exceptions):
    names = {f"pipeline.{name}" for name in names}
    users = [path for path in MODULES if names & {*imports(path)}]
    others = {place_of(path) for path in users if package_of(path) not in STAGES}
    assert others == exceptions


def types_in(annotation):
    """Return the names of the types in an annotation, except in those of functions."""
    is_generic = isinstance(annotation, ast.Subscript)
    if is_generic and ast.unparse(annotation.value) == "Callable":
        return set()
    own = {getattr(annotation, "id", None), getattr(annotation, "attr", None)}
    return own.union(*map(types_in, ast.iter_child_nodes(annotation)))


def test_dataclasses_with_arrays_are_compared_by_identity():
    nodes = [x for path in MODULES for x in ast.parse(path.read_text()).body]
    arrays = {"ndarray", "Tensor", "DataFrame"}
    arrays |= {
        node.targets[0].id
        for node in nodes
        if isinstance(node, ast.Assign) and arrays & types_in(node.value)
    }
    options, types = dict[str, str](), dict[str, set[str]]()
    for node in [node for node in nodes if isinstance(node, ast.ClassDef)]:
        options[node.name] = [*map(ast.unparse, node.decorator_list), ""][0]
        fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
        types[node.name] = {*map(ast.unparse, node.bases)}.union(
            *(types_in(each.annotation) for each in fields)
        )
    dataclasses = {x for x in options if options[x].startswith("dataclass")}
    while more := {x for x in dataclasses if arrays & types[x]} - arrays:
        arrays |= more  # the fields of a field, or of a base, are compared too
    assert {"Epoch", "TrainResult"} <= arrays
    assert not {x for x in dataclasses & arrays if "eq=False" not in options[x]}


def test_core_has_no_subfolders_because_a_fingerprint_does_not_include_them():
    assert {*PIPELINE.glob("core/**/*.py")} == {*PIPELINE.glob("core/*.py")}


def test_only_core_and_the_package_import_user_error_from_core():
    path = "pipeline.core.UserError"
    importing = {package_of(each) for each in MODULES if path in imports(each)}
    assert importing == {"core", "__init__"}


def test_core_imports_nothing_else_of_the_project():
    names = {name for path in PIPELINE.glob("core/*.py") for name in imports(path)}
    ours = {name for name in names if name.split(".")[0] == "pipeline"}
    assert all(f"{name}.".startswith("pipeline.core.") for name in ours)


def test_packages_only_re_export_names():
    for path in PIPELINE.glob("*/**/__init__.py"):
        docstring, *others = ast.parse(path.read_text()).body
        assert isinstance(docstring, ast.Expr)
        if path.parent.name != "core":  # core has the constants and an error
            assert all(isinstance(node, ast.ImportFrom) for node in others), path


def test_the_docstring_of_a_package_names_its_modules():
    for path in PIPELINE.glob("*/__init__.py"):
        words = re.findall(r"\w+", ast.get_docstring(ast.parse(path.read_text())))
        modules = {each.stem for each in path.parent.glob("*.py")}
        assert not modules - {"__init__", *words}, path.parent


def test_the_modules_of_base_import_one_another_without_a_cycle():
    graph = {
        path.stem: {
            name.split(".")[2]
            for name in imports(path)
            if re.match(r"pipeline\.base\.\w", name)
        }
        for path in PIPELINE.glob("base/*.py")
    }
    assert [*TopologicalSorter(graph).static_order()]  # raises an error for a cycle


def test_only_a_stage_imports_its_implementation():
    modules = {f"pipeline.{package}.{s}": s for s, package in IMPLEMENTATIONS.items()}
    for path in MODULES:
        names = {*imports(path)}
        assert not names & {f"pipeline.{stage}" for stage in STAGES}
        imported = {f"{modules[name]}.py" for name in names & {*modules}}
        assert imported <= {place_of(path)}


IMPORT_ALL = r"""
import importlib, os, pkgutil, re, sys
from pathlib import Path

readers, root = set(), Path.cwd()

def watch(event, arguments):
    if event != "open":
        return
    frame = sys._getframe(1)
    # PyTorch lists the lines of its callers, which the module tokenize opens.
    if not {"importlib", "tokenize"} & {*re.split(r"\W", frame.f_code.co_filename)}:
        # A module that calls a function of base/files.py is the reader.
        while frame and not re.search(
            "/pipeline/(?!base/files.py)", frame.f_code.co_filename
        ):
            frame = frame.f_back
        path = os.path.abspath(str(arguments[0]))
        if frame and path.startswith((f"{root}/pipeline", f"{root}/conf")):
            readers.add(frame.f_code.co_filename)

sys.addaudithook(watch)
import pipeline
for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
    if module.name != "pipeline.__main__":
        importlib.import_module(module.name)
print(*sorted(str(Path(each).relative_to(root / "pipeline")) for each in readers))
"""


def test_importing_all_modules_reads_only_the_files_that_the_design_lists():
    command = [sys.executable, "-c", IMPORT_ALL]
    read = subprocess.check_output(command, cwd=PIPELINE.parent, text=True).split()
    expected = ["base/source_code.py", "cli/stages.py", "teaching/class_page.py"]
    assert read == expected


def test_one_module_uses_what_hydra_does_not_document():
    # The documentation of plugins describes ConfigSource.
    documented = re.compile(r"hydra\.(errors|plugins\.config_source)(\.|$)")
    users = {
        place_of(path)
        for path in MODULES
        for name in imports(path)
        if name.split(".")[0] == "hydra" and not documented.match(name)
    }
    assert users == {"cli/hydra_internals.py"}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_used_by_one_package(library):
    users = {
        package_of(path)
        for path in MODULES
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert users == {LIBRARIES[library]}


def test_the_tests_that_docstrings_quote_exist():
    modules = [path.read_text() for path in Path(__file__).parent.rglob("test_*.py")]
    names = re.findall(r"^def test_(\w+)", "\n".join(modules), re.MULTILINE)
    comments = [re.sub(r"\s+", " ", path.read_text()) for path in MODULES]
    quoted = re.findall(r'\bTest: "([^"]+)"', "\n".join(comments))
    assert quoted
    for start in (re.sub(r"\W", "_", text) for text in quoted):
        assert any(name.startswith(start) for name in names), start


def names_in(node):
    """Return the names that a node of the syntax tree defines, imports or lists."""
    match node:
        case ast.FunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Name() if isinstance(node.ctx, ast.Store):
            return {node.id}
        case ast.arg() | ast.keyword():  # a keyword can be that of a library
            return {node.arg}
        case ast.alias():
            return {*(node.asname or node.name).split(".")}
        case ast.Attribute():  # can be that of a library
            return {node.attr}
        case ast.Constant(value=str()):  # a key, an option, or the name of a file
            return {node.value, *re.findall(r"[\w.-]+", node.value)}
    return set()


def quoted_names(path):
    """Return the texts in backticks in the docstrings and comments of a module."""
    text = path.read_text()
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    parts = [token.string for token in tokens if token.type == tokenize.COMMENT]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
            parts.append(ast.get_docstring(node) or "")
    return {name for part in parts for name in re.findall("`([^`\n]+)`", part)}


# A method of PyTorch, an argument of Ray, a function of search.js, and what a user of
# the functions writes.
OF_OTHERS = {"cuda", "py_modules", "locate", "error.result"}


def members_of_modules_and_classes():
    """Return the names in each package, module and class, by its own name."""
    members = {}
    for path in MODULES:
        tree = ast.parse(path.read_text())
        owners = (ast.Module, ast.FunctionDef, ast.ClassDef)
        bodies = [node.body for node in ast.walk(tree) if isinstance(node, owners)]
        # The words of docstrings are not names.
        words = {body[0].value for body in bodies if isinstance(body[0], ast.Expr)}
        names = set().union(*(names_in(x) for x in ast.walk(tree) if x not in words))
        members.setdefault(path.stem, set()).update(names)
        members.setdefault(path.parent.name, set()).update(names | {path.stem})
        members.setdefault(path.parent.parent.name, set()).add(path.parent.name)
        for node in [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]:
            bases = (members.get(ast.unparse(base), set()) for base in node.bases)
            inner = map(names_in, ast.walk(node))
            members.setdefault(node.name, set()).update(*inner, *bases)
    return members


def test_the_names_in_backticks_in_docstrings_and_comments_exist():
    command = ["git", "ls-files"]
    listed = subprocess.check_output(command, cwd=PIPELINE.parent, text=True)
    files = "".join(f"/{line}\n" for line in listed.splitlines())
    members = members_of_modules_and_classes()
    known = {
        *dir(builtins),
        *dir(str),
        *keyword.kwlist,
        *sys.stdlib_module_names,
        *OF_OTHERS,
    }
    known = known.union(members, *members.values())
    libraries = {name.split(".")[0] for path in MODULES for name in imports(path)}
    wrong = []
    quoted = [(path, name) for path in MODULES for name in quoted_names(path)]
    for place, name in quoted:
        *owners, last = name.removesuffix("()").split(".")
        if name in known or (owners and owners[0] in libraries - {"pipeline"}):
            continue
        if re.fullmatch(r"[\w./-]+(/|\.(py|js|html|jinja|toml))", name):
            exists = f"/{name.removesuffix('/')}" in files
        elif not all(part.isidentifier() for part in (*owners, last)):
            exists = True  # code, a command or a pattern
        elif owners and owners[-1] in members:
            exists = last in members[owners[-1]]
        else:
            exists = {*owners} <= members[place.stem] and last in known
        if not exists:
            wrong.append((place_of(place), name))
    assert not wrong


def nodes_at_the_top(node):
    """Yield the nodes that run when a module is imported."""
    for child in ast.iter_child_nodes(node):
        is_for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child)
        if not isinstance(child, ast.FunctionDef) and not is_for_types:
            yield child
            yield from nodes_at_the_top(child)


def imports_of_mlflow(nodes, modules):
    """Return the nodes that import MLflow or one of the modules."""
    imported = [(node, name) for node in nodes for name in names_imported_by(node)]
    return [
        node
        for node, name in imported
        if name.split(".")[0] == "mlflow" or name in modules
    ]


def test_mlflow_is_imported_only_after_its_telemetry_is_turned_off():
    trees = {path: ast.parse(path.read_text()) for path in MODULES}
    names = {
        path: f"pipeline.{place_of(path)[:-3]}".replace("/", ".") for path in MODULES
    }
    at_top = set()  # the modules whose import imports MLflow
    while (
        more := {
            names[path]
            for path, tree in trees.items()
            if imports_of_mlflow(nodes_at_the_top(tree), at_top)
        }
        - at_top
    ):
        at_top |= more
    package = ast.get_docstring(trees[PIPELINE / "tracking" / "__init__.py"])
    listed = re.split(r"These\s+modules import MLflow:", package)[1]
    files = {f"{name.split('.')[-1]}.py" for name in at_top}
    assert {*re.findall(r"`(?:\w+/)?(\w+\.py)`", listed)} == files
    inside = {"import_mlflow", "_client"}  # `_client` of recorder is called by others
    checked = set()
    for path in [path for path in MODULES if names[path] not in at_top]:
        nodes = [x for x in ast.walk(trees[path]) if isinstance(x, ast.FunctionDef)]
        for function in [node for node in nodes if node.name not in inside]:
            calls = [x for x in ast.walk(function) if isinstance(x, ast.Call)]
            imports = [
                call.lineno
                for call in calls
                if ast.unparse(call.func) in {"import_mlflow", "using_mlflow"}
            ]
            for node in imports_of_mlflow(ast.walk(function), at_top):
                assert min(imports, default=node.lineno) < node.lineno, path
                checked.add(path.name)
    assert {"ui.py", "recorder.py", "copier.py", "server_request.py"} <= checked
