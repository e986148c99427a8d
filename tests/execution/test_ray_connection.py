"""Addresses at which there is no Ray cluster."""

import pytest

from pipeline import UserError
from pipeline.execution.ray_connection import find_cluster, find_reason

pytest.importorskip("ray", reason="Ray is missing: pip install -e '.[ray]'")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "RAY_ADDRESS: it must be host:port of .*, such as .*, got ''"),
        ("auto", "RAY_ADDRESS: it must be host:port .*, got 'auto'"),
        ("127.0.0.1:²", "RAY_ADDRESS: it must be host:port .*, got '127.0.0.1:²'"),
        ("127.0.0.1:" + "1" * 30, "RAY_ADDRESS: it must be host:port .*, got "),
        ("127.0.0.1:65536", "RAY_ADDRESS: it must be host:port .*, got '127.0.0.1:65"),
        ("127.0.0.1:1", "can be used at RAY_ADDRESS=127.0.0.1:1: .*refused"),
        ("nowhere.invalid:6379", "can be used at RAY_ADDRESS=nowhere.invalid:6379: "),
    ],
)
def test_an_address_without_a_cluster_is_rejected_in_one_line(
    address, message, monkeypatch
):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError, match=message) as error:
        find_cluster()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("error: no key {0} in {runtime_env}\n", "no key {0} in {runtime_env}"),
        ("InvalidAuthToken: Authentication token is missing or incorrect", "its token"),
        ("enabled but no authentication token was found", "its token is missing here"),
        ("Failed to connect to socket /tmp/x", "run `ray start --block --address=a:1 "),
        ("Token authentication is disabled for this Ray cluster.\n", None),
        ("Loaded authentication token from file\n", None),
    ],
)
def test_the_reason_of_a_failure_is_a_line_about_it(line, reason):
    found = find_reason(line, "a:1")
    assert found is None if reason is None else reason in found


def test_a_missing_address_is_rejected_before_a_data_set_is_fetched(
    bare_project, monkeypatch
):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    arguments = "hidden=5", "executor=ray", "dataset=digits"
    printed, error = bare_project.sweep("train", *arguments)
    assert error.startswith("executor=ray needs RAY_ADDRESS: ") and not printed
    assert not bare_project.files()
