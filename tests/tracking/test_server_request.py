"""Requests to small HTTP servers, which show what MLflow's client sends.

`test_copies.py` has the requests to a real MLflow server.
"""

import json
import threading
import time
from base64 import b64encode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.tracking.server_request import SERVER_SECONDS, tags_on

RUN_ID = "0" * 32
INFO = {"run_id": RUN_ID, "experiment_id": "1", "status": "FINISHED"}
RUN = {"run": {"info": INFO, "data": {"tags": [{"key": "kind", "value": "sweep"}]}}}


@contextmanager
def web_server(respond, host="127.0.0.1"):
    """Run a server whose requests a function answers; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            respond(self)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://{host}:{web.server_port}"
        web.shutdown()


def send_run(handler):
    content = json.dumps(RUN).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


@pytest.mark.parametrize(
    ("variables", "credentials"),
    [
        ({"TOKEN": "abc"}, "Bearer abc"),
        (
            {"USERNAME": "ann", "PASSWORD": "secret"},
            f"Basic {b64encode(b'ann:secret').decode()}",
        ),
    ],
)
def test_credentials_are_sent_to_the_server_but_not_to_another_host(
    monkeypatch, variables, credentials
):
    sent = []

    def redirect(handler):
        sent.append(handler.headers["Authorization"])
        handler.send_response(307)
        handler.send_header("Location", other + handler.path)
        handler.end_headers()

    def answer(handler):
        sent.append(handler.headers["Authorization"])
        send_run(handler)

    for name, value in variables.items():
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    with web_server(answer, "localhost") as other, web_server(redirect) as url:
        assert tags_on(url, RUN_ID) == {"kind": "sweep"}
    assert sent == [credentials, None]


def test_a_server_that_sends_a_byte_at_a_time_delays_a_command_only_for_seconds():
    ended = threading.Event()
    begun = []

    def trickle(handler):
        begun.append(time.monotonic())
        handler.send_response(200)
        handler.end_headers()
        try:
            while not ended.wait(0.1):
                handler.wfile.write(b" ")
        except ConnectionError:
            pass

    with web_server(trickle) as url:
        call = threading.Timer(20 * SERVER_SECONDS, ended.set)  # a failure also ends
        call.start()
        assert tags_on(url, RUN_ID) is None
        assert begun and time.monotonic() - begun[0] < 5 * SERVER_SECONDS
        assert not ended.is_set()
        call.cancel()
        ended.set()


def test_a_server_that_is_not_one_of_mlflow_has_no_run():
    def send_page(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"<html>")

    with web_server(send_page) as url:
        assert tags_on(url, RUN_ID) is None
