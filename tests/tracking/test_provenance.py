import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.base import paths
from pipeline.base.files import file_sha256
from pipeline.records.software import torch_version
from pipeline.tracking import provenance, start_tracker, tagged_runs


def test_packages_can_be_installed_in_another_environment():
    lines = provenance.packages().splitlines()
    assert f"torch=={torch_version().partition('+')[0]}" in lines
    names = [line.split("==")[0] for line in lines]
    assert len({*names}) == len(names) and provenance.PROJECT not in names
    # Local versions and projects in a folder are omitted.
    assert not [line for line in lines if {*"+@/ "} & {*line}]


def test_packages_that_are_damaged_or_in_a_folder_are_left_out(tmp_path, monkeypatch):
    files = {
        "whole": ("Name: whole\nVersion: 1.0+cpu\n", '{"archive_info": {}}'),
        "in_a_folder": ("Name: in_a_folder\nVersion: 1\n", '{"dir_info": {}}'),
        "half_a_url": ("Name: half_a_url\nVersion: 2\n", '{"url": '),
        "no_version": ("Name: no_version\n", "{}"),
        "empty": ("", ""),
    }
    for name, (metadata, url) in files.items():
        folder = tmp_path / f"{name}-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(metadata)
        (folder / "direct_url.json").write_text(url)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    packages = provenance.packages.__wrapped__()
    assert packages.splitlines() == ["half_a_url==2", "whole==1.0"]


def test_code_that_is_not_committed_is_recorded_as_a_patch_that_git_applies(
    clone_project, use_repository, store, client, start_run, tmp_path
):
    clone = clone_project(tmp_path / "clone").outputs.parent

    def git(*arguments):
        return subprocess.check_output(["git", *arguments], cwd=clone, text=True)

    def record():
        use_repository(clone)
        with start_run(store) as run:
            pass
        return client.get_run(run.run_id)

    assert record().data.tags["git.diff"] == "none"
    for name in ("README.md", "pipeline/exercise.ipynb"):
        (clone / name).write_text("not code")
    latin_1 = '# -*- coding: latin-1 -*-\nNEW = "caf\xe9"\r\n'.encode("latin-1")
    (clone / "pipeline" / "new.py").write_bytes(latin_1)
    with (clone / "conf" / "config.yaml").open("a") as stream:
        stream.write("# a comment\n")
    for setting in ("noprefix=true", "context=0", "external=false"):
        git("config", *f"diff.{setting}".split("="))
    git("config", "color.ui", "always")
    before = git("status", "--porcelain")
    dirty = record()
    assert re.fullmatch("[0-9a-f]{64}", dirty.data.tags["git.diff"])
    assert dirty.data.tags["git.commit"] == git("rev-parse", "HEAD").strip()
    assert git("status", "--porcelain") == before  # the user's index is unchanged
    patch = Path(dirty.info.artifact_uri.removeprefix("file://"), "code.diff")
    assert b"not code" not in patch.read_bytes()
    assert file_sha256(patch) == dirty.data.tags["git.diff"]

    git("stash", "--include-untracked")
    git("apply", str(patch))
    assert (clone / "pipeline" / "new.py").read_bytes() == latin_1
    assert (clone / "conf" / "config.yaml").read_text().endswith("# a comment\n")


@pytest.fixture
def repository(tmp_path, use_repository):
    """A repository with one commit, whose only file is pipeline/__init__.py."""
    folder = tmp_path / "repository"
    (folder / "pipeline").mkdir(parents=True)
    (folder / "pipeline" / "__init__.py").touch()
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run(["git", *identity, *command], cwd=folder, check=True)
    use_repository(folder)
    return folder


def test_a_patch_of_more_than_a_million_characters_is_truncated(repository):
    (repository / "pipeline" / "large.py").write_text("x = 1\n" * 200_000)
    patch, last = provenance.code_diff()[:-1].rsplit("\n", 1)
    assert len(patch) == 1_000_000
    assert re.fullmatch(r"\(truncated: 1,400,\d{3} characters\)", last)


def test_a_patch_names_a_nested_repository_that_git_cannot_add(repository):
    nested = repository / "pipeline" / "nested"
    subprocess.run(["git", "init", "-q", nested], check=True)
    new = repository / "pipeline" / "new.py"  # git adds it after `nested`
    new.write_text("x = 1\n")
    patch = provenance.code_diff()
    line = "(left out, because git cannot add it: pipeline/nested/)"
    assert patch.splitlines()[:2] == [
        line,
        "diff --git a/pipeline/new.py b/pipeline/new.py",
    ]
    new.unlink()
    subprocess.run(["git", "apply"], cwd=repository, input=patch, text=True, check=True)
    assert new.read_text() == "x = 1\n"


def test_a_patch_contains_the_deletion_of_all_code_or_settings(repository):
    shutil.rmtree(repository / "pipeline")
    assert "deleted file mode" in provenance.code_diff()


def test_changes_that_git_cannot_read_are_recorded_as_unknown(repository):
    tree = subprocess.check_output(
        ["git", "rev-parse", "HEAD^{tree}"], cwd=repository, text=True
    ).strip()
    (repository / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    assert provenance.code_diff() == "(unknown: git cannot read the changes)\n"


def test_a_repository_that_git_refuses_to_read_has_an_unknown_commit(
    repository, monkeypatch, capfd
):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # as in a container
    tags, diff = provenance.code_state()
    assert diff == "(unknown: git cannot read the changes)\n"
    assert tags["git.commit"] == "unknown" and tags["git.diff"] != "none"
    assert "mlflow.source.git.commit" not in tags
    message = capfd.readouterr().err
    assert "warning: git cannot read the repository of the code" in message
    assert f"git -C {repository} status" in message


@pytest.mark.parametrize("failing", ["read-tree", "ls-files --others", "diff-index"])
def test_changes_are_unknown_if_only_one_call_of_git_fails(
    repository, tmp_path, monkeypatch, failing
):
    script = tmp_path / "bin" / "git"
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\ncase "$*" in "{failing} "*) exit 1 ;; esac\n'
        f'exec {shutil.which("git")} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    assert provenance.code_diff() == "(unknown: git cannot read the changes)\n"


@pytest.mark.parametrize(
    "comments", [("# one\n", "# other\n"), ("# one\n", ""), ("", "# other\n")]
)
def test_a_resumed_run_has_the_patch_of_the_code_that_resumed_it(
    clone_project, use_repository, store, client, start_run, tmp_path, comments
):
    settings = clone_project(tmp_path / "clone").outputs.parent / "conf/config.yaml"
    committed, run_id = settings.read_text(), None
    for comment in comments:
        settings.write_text(committed + comment)
        use_repository(tmp_path / "clone")
        with suppress(KeyboardInterrupt), start_run(store, resume=run_id) as run:
            run_id = run.run_id
            raise KeyboardInterrupt
        (recorded,) = client.search_runs(["1"])
        assert (recorded.data.tags["git.diff"] == "none") == (not comment)
        patch = run.artifacts / "code.diff"
        added = patch.read_text().splitlines()[-1:] if patch.exists() else []
        assert added == ([f"+{comment.strip()}"] if comment else [])


def test_a_resumed_run_has_only_the_provenance_of_its_last_start(
    clone_project, use_repository, store, client, start_run, tmp_path, monkeypatch
):
    clone_project(tmp_path / "clone")
    use_repository(tmp_path / "clone")
    monkeypatch.setenv("DVC_EXP_NAME", "first")
    with suppress(KeyboardInterrupt), start_run(store) as run:
        raise KeyboardInterrupt
    client.set_tag(run.run_id, "version.mine", "a tag of a user")
    before = client.get_run(run.run_id).data.tags
    monkeypatch.delenv("DVC_EXP_NAME")
    shutil.rmtree(tmp_path / "clone" / ".git")
    use_repository(tmp_path / "clone")
    with start_run(store, resume=run.run_id):
        pass
    after = client.get_run(run.run_id).data.tags
    removed = {"dvc.experiment", "git.diff", "mlflow.source.git.commit"}
    assert before.keys() - after.keys() == removed
    assert after["git.commit"] == "none"


@pytest.mark.parametrize("in_helper", [True, False])
def test_an_edit_after_a_training_run_has_started_is_not_recorded(
    clone_project, use_repository, store, tmp_path, monkeypatch, in_helper
):
    settings = clone_project(tmp_path / "clone").outputs.parent / "conf/config.yaml"
    use_repository(tmp_path / "clone")
    # The other process reads the same clone, as it does for a user.
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "clone" / "pipeline")
    if in_helper:
        monkeypatch.delitem(sys.modules, "mlflow")
    prepared = start_tracker(store, server=None, experiment="digits")
    with prepared as tracker:
        with settings.open("a") as stream:
            stream.write("# an edit\n")
        with tracker.start_run(name="a name", params={}, tags={}, time=1000) as run:
            run.wait()
            assert not (run.artifacts / "code.diff").exists()
    (recorded,) = tagged_runs(store, "mlflow.runName", ["a name"])
    assert recorded.tags["git.diff"] == "none"


def test_a_later_command_of_a_process_records_edits_of_settings_but_not_of_modules(
    clone_project, use_repository, store, tmp_path
):
    root = clone_project(tmp_path / "clone").outputs.parent
    use_repository(root)
    states = []
    for edited in (None, "conf/config.yaml", "pipeline/train.py"):
        if edited:
            with (root / edited).open("a") as stream:
                stream.write("# an edit\n")
        with start_tracker(store, server=None, experiment="digits") as tracker:
            states.append(tracker.read_code())
    first, second, third = states
    assert not first.diff and "b/conf/config.yaml" in second.diff and second == third
    author = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    commit = ["git", *author, "commit", "-qam", "Both edits"]
    subprocess.run(commit, cwd=root, check=True)
    # The modules of the process are those of the first commit, so the patch must be
    # relative to it.
    with start_tracker(store, server=None, experiment="digits") as tracker:
        assert tracker.read_code() == second


def test_a_command_keeps_the_settings_it_started_with_when_another_one_starts(
    clone_project, use_repository, store, tmp_path
):
    settings = clone_project(tmp_path / "clone").outputs.parent / "conf/config.yaml"
    use_repository(tmp_path / "clone")

    def start():
        return start_tracker(store, server=None, experiment="digits")

    with start() as first:
        with settings.open("a") as stream:
            stream.write("# an edit\n")
        with (
            start() as second,
            first.start_run(name="a", params={}, tags={}, time=1000) as run,
        ):
            run.wait()
    assert second.read_code().diff and not first.read_code().diff
    (recorded,) = tagged_runs(store, "mlflow.runName", ["a"])
    assert recorded.tags["git.diff"] == "none"


def test_the_provenance_of_a_run_does_not_include_options_of_groups():
    own = provenance.tags(provenance.code_state())
    assert own and provenance.tags_of(own) == own
    choices = {"git": "a", "version": "b", "mlflow": "c", "hostess": "d"}
    assert provenance.tags_of({**own, **choices}) == own


def test_a_package_inside_the_repository_of_another_project_has_no_commit(
    tmp_path, use_repository
):
    repository = tmp_path / "site-packages"
    (repository / "pipeline").mkdir(parents=True)
    (repository / "pipeline" / "__init__.py").touch()
    (repository / "other.py").touch()
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "other.py"], ["commit", "-qm", "other"]):
        subprocess.run(["git", *identity, *command], cwd=repository, check=True)
    use_repository(repository)
    tags = provenance.tags(provenance.code_state())
    assert tags["git.commit"] == "none" and "git.diff" not in tags
