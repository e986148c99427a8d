"""Records a network as an MLflow model: the network's file, and code that runs it.

Runs in the recorder.

The model contains no pickle. `mlflow.pyfunc.save_model` writes the same files, but it
takes ten times as long, and its first call even longer.
"""

import platform
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
from mlflow import entities
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from pipeline.core import CLASSES, SIDE
from pipeline.records.software import torch_version
from pipeline.tracking.provenance import requirement
from pipeline.tracking.run_data import ModelData
from pipeline.tracking.store.client import StoreClient, model_outputs
from pipeline.tracking.store.location import path_from_uri

CLASSIFIER = Path(__file__).with_name("classifier.py")
REQUIREMENTS = ("mlflow", "numpy", "safetensors", "torch")


def record_model(client: StoreClient, run: entities.Run, data: ModelData) -> str:
    """Record the model of a run, or replace its files; return the ID of the model."""
    run_id, experiment_id = run.info.run_id, run.info.experiment_id
    # A model of an earlier process may be incomplete. Users can log other models.
    condition = f"source_run_id = '{run_id}' AND name = 'model'"
    models = client.search_logged_models([experiment_id], condition)
    logged = next(iter(models), None) or client.create_logged_model(
        experiment_id, name="model", source_run_id=run_id, params=run.data.params
    )
    model_id = str(logged.model_id)
    folder = path_from_uri(logged.artifact_location)
    _write_files(folder, data, run_id=run_id, model_id=model_id)
    if model_id not in {output.model_id for output in model_outputs(run)}:
        client.log_outputs(run_id, [entities.LoggedModelOutput(model_id, step=0)])
    client.finalize_logged_model(model_id, entities.LoggedModelStatus.READY)
    return model_id


def _write_files(folder: Path, data: ModelData, *, run_id: str, model_id: str) -> None:
    dtype = np.dtype(np.float32)
    signature = ModelSignature(
        inputs=Schema([TensorSpec(dtype, (-1, SIDE, SIDE))]),
        outputs=Schema([TensorSpec(dtype, (-1, CLASSES))]),
    )
    images = f"gray levels / 255 of images that are preprocessed as in {data.dataset}"
    network = data.network.name
    model = Model(
        run_id=run_id,
        model_id=model_id,
        signature=signature,
        metadata={"input": images},
    )
    model.add_flavor(
        "python_function",
        loader_module="mlflow.pyfunc.loaders.code_model",
        model_code_path=CLASSIFIER.name,
        artifacts={"network": {"path": network, "uri": network}},
        env={"virtualenv": "python_env.yaml"},
        python_version=platform.python_version(),
    )
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(CLASSIFIER, folder / CLASSIFIER.name)
    shutil.copyfile(data.network, folder / network)
    model.add_flavor("pytorch", model_data="data", pytorch_version=torch_version())
    (folder / "data").mkdir(exist_ok=True)
    shutil.copyfile(data.exported, folder / "data" / "model.pt2")
    lines = [f"{requirement(name, version(name))}\n" for name in REQUIREMENTS]
    (folder / "requirements.txt").write_text("".join(lines))
    (folder / "python_env.yaml").write_text(
        f"python: {platform.python_version()}\ndependencies: [-r requirements.txt]\n"
    )
    model.save(folder / "MLmodel")
