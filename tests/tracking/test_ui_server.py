import os
import sys

import pytest
from mlflow.utils.logging_utils import MLFLOW_LOGGING_STREAM

from pipeline.tracking.ui import serve_ui


def test_the_server_leaves_no_environment_variable(recorded, monkeypatch):
    from mlflow.server import ARTIFACT_ROOT_ENV_VAR, BACKEND_STORE_URI_ENV_VAR

    monkeypatch.setenv(ARTIFACT_ROOT_ENV_VAR, "file:///mine")
    monkeypatch.delenv(BACKEND_STORE_URI_ENV_VAR, raising=False)
    before = {**os.environ}
    with serve_ui(recorded, run=None):
        assert os.environ[BACKEND_STORE_URI_ENV_VAR].startswith("sqlite:")
    assert {**os.environ} == before


def test_mlflow_logs_again_after_its_server_could_not_be_imported(
    recorded, monkeypatch
):
    monkeypatch.setitem(sys.modules, "mlflow.server.fastapi_app", None)
    before = {**os.environ}
    with pytest.raises(ImportError), serve_ui(recorded, run=None):
        pass
    assert MLFLOW_LOGGING_STREAM.enabled
    assert {**os.environ} == before
