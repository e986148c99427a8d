"""The networks that a sweep trained, for stages that use all these networks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import UserError
from pipeline.model import NetworkFile, load_recorded_network
from pipeline.records.params import TRAINING_KEYS
from pipeline.records.tags import SWEPT_TAG
from pipeline.sweeps.configurations import sort_key
from pipeline.sweeps.recorded import RecordedSweep
from pipeline.tracking import RecordedRun, recorded_params


class SweptNetwork(NamedTuple):
    """A network, and the options and values that its sweep varies, if any."""

    varied_values: Mapping[str, Any]
    file: NetworkFile
    run_id: str | None = None  # the child of a sweep that trained the network, if any


def read_networks(
    text: str, *, store: Path, server: str | None = None
) -> tuple[RecordedRun, list[SweptNetwork]]:
    """Read the finished networks of a sweep, in the order of their varied values.

    Args:
        text: The ID of the sweep's run, a prefix of the ID, the name, or the key.
        store: The folder of the store.
        server: The server to mention in a message if only this server has the run.

    Returns:
        The run and the networks.

    Raises:
        UserError: If there is no such sweep, if a file is damaged, or if the networks
            were trained on different data sets, without common test images.
    """
    recorded = RecordedSweep.find(text, store=store, server=server)
    sweep, children = recorded.run, [x.run for x in recorded.complete.values()]
    assert sweep
    params = recorded_params(store, children)
    varied = sweep.tags.get(SWEPT_TAG, "").split(",")
    keys = [key for key in TRAINING_KEYS if key in varied]
    others = [name for name in varied if name not in keys]
    groups = [name for name in others if len({each.get(name) for each in params}) > 1]
    networks = []
    for child, texts in zip(children, params, strict=True):
        file = load_recorded_network(child)
        if file.metadata is None:
            raise UserError(
                f"{file.path} does not record its hyperparameters: delete run "
                f"{child.run_id}, and the command of the sweep trains it again"
            )
        values: dict[str, Any] = {group: texts[group] for group in groups}
        values |= {key: file.params[key] for key in keys}
        networks.append(SweptNetwork(values, file, child.run_id))
    # Unlike `comparable`, this check ignores the split, because the test images are the
    # same with every split.
    hashes = {each.file.data_sha256 for each in networks}
    if len(hashes) > 1:
        raise UserError(
            f"the networks of sweep {text} were trained on {len(hashes)} data sets, so "
            "they cannot be compared: select a sweep with a single data set"
        )
    return sweep, sorted(networks, key=lambda each: sort_key(each.varied_values))
