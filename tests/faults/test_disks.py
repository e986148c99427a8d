"""A full or read-only disk gives one clear message, and no earlier result is lost.

FULL_DISKS in the environment is the number of times that each stage fills the disk.
"""

import gzip
import http.server
import os
import random
import re
import subprocess
import threading
from functools import partial

import pytest

from pipeline import UserError
from pipeline.base.files import file_sha256
from pipeline.datasets.registry import MNIST_FILES

pytestmark = pytest.mark.fault

FULL_DISKS = int(os.environ.get("FULL_DISKS", "1"))
SPACES = [8, 60, 200, 500, 1000, 2500]  # KiB of free space, at most
# At first, the commands of a line run in one process, on a disk where nothing fits.
FILLING = [
    ["data dataset=digits"],
    [
        "train dataset=digits epochs=3 lr={lr}",
        "train -m seed=1,2 workers=1 dataset=digits epochs=2 lr={lr}",
        "evaluate",
        "export",
    ],
]


def leave_space(disk, kib):
    """Set the free space of a disk."""
    status = os.statvfs(disk)
    used = (status.f_blocks - status.f_bfree) * status.f_frsize // 1024
    subprocess.run(["mount", "-o", f"remount,size={used + kib}k", disk], check=True)


@pytest.mark.parametrize("commands", FILLING, ids=["data", "other stages"])
def test_a_full_disk_gives_one_message_and_the_command_succeeds_with_more_space(
    commands, trained_digits, tmp_path, mount, error_line, assert_complete, run_again
):
    disk, draw, failures = tmp_path / "disk", random.Random(commands[0]), 0
    disk.mkdir()
    mount("-t", "tmpfs", "tmpfs", folder=disk)
    project = trained_digits.copy(disk)
    alone = [[command] for command in commands] * (FULL_DISKS - 1)
    for point, part in enumerate([commands, *alone]):
        lr = 0.002 + point / 1e6
        tuples = [tuple(command.format(lr=lr).split()) for command in part]
        for path in (project.outputs / "data").glob("digits*"):
            if "data dataset=digits" in part:
                path.unlink()
        before = project.hashes("train", "evaluate", "export")
        runs = {run.info.run_id: run.data for run in project.runs()}
        leave_space(disk, int(draw.choice(SPACES) * draw.random()) if point else 4)
        done = project.run_all(dict.fromkeys(tuples, None))
        statuses = re.findall(r"(?s)(.*?)status ([01])\n", done.stderr)
        for arguments, (text, status) in zip(tuples, statuses, strict=True):
            if status == "0":
                continue
            failures += 1
            message = error_line(text)
            if "-m" not in arguments:  # a sweep reports the error of each training run
                causes = ("No space left", "disk is full", "of disk space")
                assert any(cause in message for cause in causes)
                assert "run the same command again" in message
        if "0" not in [status for _, status in statuses]:
            assert project.hashes("train", "evaluate", "export") == before
        assert_complete(project)
        leave_space(disk, 65_536)
        for arguments in tuples:
            run_again(project, *arguments)
        after = {run.info.run_id: run for run in project.runs()}
        finished = [run for run in after.values() if run.info.status == "FINISHED"]
        trained = {run.data.tags.get("fingerprint") for run in finished}
        for run in after.values():  # failed attempts of a sweep stay visible
            is_child = "mlflow.parentRunId" in run.data.tags
            assert run in finished or (run.info.status == "FAILED" and is_child)
            assert run.data.tags.get("fingerprint") in trained
        for run_id, data in runs.items():
            assert data.params == after[run_id].data.params
    assert failures >= len(commands)


def test_the_disk_of_the_folder_of_a_call_needs_space_for_the_results(
    project, tmp_path, mount
):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", folder=disk)
    with pytest.raises(UserError, match=r"needs about 6 MB of disk space") as error:
        project.call("train", dataset="digits", epochs=100, folder=disk / "own")
    assert f" is free in {disk / 'own'}: delete files" in str(error.value)
    assert not project.runs()


@pytest.fixture
def mirror(tmp_path, mnist):
    """The URL of a local server with MNIST's files, and the requests that it got."""
    raw, packed, asked = (
        MNIST_FILES.fetch(mnist.file.path.parent),
        tmp_path / "packed",
        [],
    )
    packed.mkdir()
    for name in MNIST_FILES.hashes():
        content = gzip.compress((raw / name).read_bytes(), 1)
        (packed / f"{name}.gz").write_bytes(content)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path[1:])

    handler = partial(Handler, directory=packed)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        yield f"http://127.0.0.1:{server.server_port}/", asked
        server.shutdown()


USE_MIRROR = """
import torchvision
torchvision.datasets.MNIST.mirrors = [{url!r}]
"""


def test_a_disk_that_fills_up_in_a_download_gives_one_message_and_keeps_whole_files(
    new_project, tmp_path, mount, mirror, error_line, monkeypatch
):
    disk, (url, asked) = tmp_path / "disk", mirror
    disk.mkdir()
    # The disk has no space for the test images, the third of the four files.
    mount("-t", "tmpfs", "-o", "size=50m", "tmpfs", folder=disk)
    project = type(new_project)(disk)
    failed = project.run("data", status=1, before=USE_MIRROR.format(url=url))
    message = error_line(failed.stderr)
    assert "No space left" in message and "run the same command again" in message
    names, hashes = [*MNIST_FILES.hashes()], MNIST_FILES.hashes()
    assert asked == [f"{name}.gz" for name in names[:3]]  # no other source was tried
    raw = disk / "data" / MNIST_FILES.folder / "raw"
    assert {path.name: file_sha256(path) for path in raw.iterdir()} == {
        name: hashes[name] for name in names[:2]
    }
    assert not [*(disk / "data").glob("mnist*")]
    leave_space(disk, 200_000)
    import torchvision  # loads much of PyTorch, in each worker of the other tests too

    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [url])
    project.call("data")
    assert asked == [f"{name}.gz" for name in (*names[:3], *names[2:])]
    assert (disk / "data" / "mnist.json").exists()


def test_a_limit_on_the_size_of_files_gives_one_message(digits, error_line):
    before = digits.hashes("train")
    command = ["train", "dataset=digits", "epochs=3", "hidden=21"]
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, 2 * (400_000,))"
    error_line(digits.run(*command, status=1, before=limit).stderr)
    assert digits.hashes("train") == before
    digits.call("train", dataset="digits", epochs=3, hidden=21)
    assert {run.info.status for run in digits.runs()} == {"FINISHED"}


@pytest.fixture
def read_only(mount):
    """Return a function that makes a folder read-only, even for root."""
    changed = []

    def make(folder):
        if os.getuid() == 0:
            mount("--bind", str(folder), folder=folder)
            options = "remount,ro,bind"
            subprocess.run(["mount", "-o", options, str(folder)], check=True)
        else:
            folder.chmod(0o555)
            changed.append(folder)

    yield make
    for folder in changed:
        folder.chmod(0o755)


def test_read_only_outputs_are_reported_in_one_message(digits, read_only, error_line):
    read_only(digits.outputs)
    stages = [("train", "dataset=digits"), ("evaluate",), ("predict",), ("export",)]
    failed = digits.run_all(dict.fromkeys(stages, 1))
    *errors, _ = re.split(r"status 1\n", failed.stderr)
    for error in errors:
        assert re.search("Read-only|Permission", error_line(error))
