"""Runs tasks on a Ray cluster.

Nodes need Ray, PyTorch and the other dependencies, but no clone, no shared folder and
no MLflow store, because this process sends the code and the data. `_run_on_node` and
`_check` run on the nodes.
"""

import copy
import functools
import logging
import os
import platform
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import ray
from ray import ObjectRef, exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline import UserError
from pipeline.base.error_messages import AGAIN
from pipeline.base.process import ONE_THREAD
from pipeline.base.progress import busy
from pipeline.base.terminal import say
from pipeline.base.text import wrap
from pipeline.core.dataset import DataFile, Dataset
from pipeline.execution.executor import (
    Executor,
    LostAttempt,
    Task,
    TaskResult,
    failure,
)
from pipeline.execution.ray_connection import copy_sources, find_cluster, ray_address
from pipeline.records.software import (
    OtherSoftware,
    Software,
    check_code,
    processor,
    torch_version,
)
from pipeline.records.tags import HOST_TAG, PROCESSOR_TAG

Stored = tuple[ObjectRef[Dataset]]


class RayExecutor(Executor):
    """Runs functions on the nodes of the Ray cluster at the address RAY_ADDRESS."""

    @classmethod
    def create(cls, **_: object) -> "RayExecutor":
        """Return an executor, which uses the whole cluster."""
        return cls()

    @classmethod
    def check_environment(cls) -> None:
        """Check that RAY_ADDRESS is an address."""
        ray_address()

    @property
    def workers(self) -> int:
        """The number of CPUs of the cluster."""
        return _count_cpus()

    def __enter__(self) -> "RayExecutor":
        """Connect to the cluster, and check that each node meets the requirements.

        Raises:
            UserError: If no cluster can be used at the address, or a node cannot
                produce the same results.
        """
        address = find_cluster()
        self._remote_task = ray.remote(num_cpus=1, max_retries=0)(_run_on_node)
        self._stored = functools.cache(_put_dataset)
        with busy("checking the nodes of the Ray cluster"):
            _connect(address)
            self._software = Software.here()
            try:
                self.processors = _check_nodes(self._software)
                _count_cpus()  # raises an error if no node can compute
            except BaseException:
                self.__exit__()
                raise
        ended = "if the cluster ends, Ray ends this process without a message"
        say(wrap(f"{ended}: {AGAIN}", indent=0), flush=True)
        return self

    def __exit__(self, *exception: object) -> None:
        """Disconnect; Ray then ends the workers of this process on all nodes."""
        ray.shutdown()

    def _start(self, function: Callable[..., Any], task: Task) -> Any:  # noqa: ANN401
        dataset = self._stored(task.data_file)
        return self._remote_task.remote(
            function, dataset, task.arguments, self._software
        )

    def _wait(self, calls: Iterable[Any], *, timeout: float) -> Iterable[Any]:
        refs = [*calls]
        # The number of calls that Ray waits for, and the maximum that Ray returns.
        count = 1 if timeout else len(refs)
        return ray.wait(refs, num_returns=count, timeout=timeout)[0]

    def _result(self, call: Any, task: Task) -> TaskResult | LostAttempt:  # noqa: ANN401
        try:
            # The value is copied, because Ray's arrays are read-only.
            value, machine = copy.deepcopy(ray.get(call))
            return TaskResult(task.job, value, machine)
        except exceptions.RayTaskError as error:  # an error of the function
            return failure(task, error.cause, traceback=error.traceback_str)
        except exceptions.NodeDiedError:
            reason = "its node was lost"
        except exceptions.WorkerCrashedError:
            reason = "its worker was killed"
        except exceptions.OutOfMemoryError:
            reason = "its worker was killed because its node ran out of memory"
        except exceptions.RayError as error:  # for example, a result was not sent
            reason = str(error).partition("\n")[0]
        return LostAttempt(task.job, reason)


def _connect(address: str) -> None:
    """Connect this process, and send the code of this package to the cluster."""
    terminate = signal.getsignal(signal.SIGTERM)
    with tempfile.TemporaryDirectory() as folder:
        copy_sources(Path(folder))
        check_code()  # the nodes import the copied code
        ray.init(
            address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            # The working directory of the workers. With `py_modules`, Ray would prefer
            # the path of this clone if it exists on a node.
            runtime_env={
                "working_dir": folder,
                "env_vars": ONE_THREAD,
            },
        )
    # In the main thread, Ray has replaced this handler.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, terminate)


def _put_dataset(data_file: DataFile) -> Stored:
    """Put a data set into Ray's object store.

    The reference is in a tuple. Without the tuple, Ray would copy the data to the node,
    and never free the copy if this process is killed. After a few such copies, a node
    runs no more tasks.
    """
    return (ray.put(data_file.read()),)


def _count_cpus() -> int:
    """Return the number of CPUs of the cluster, whose nodes may join and leave.

    Raises:
        UserError: If the cluster has no CPU.
    """
    cpus = int(ray.cluster_resources().get("CPU", 0))
    if not cpus:
        raise UserError(
            "the Ray cluster has no node with a CPU: start one with `ray start "
            f"--address={os.environ['RAY_ADDRESS']}`, then {AGAIN}"
        )
    return cpus


def _check_nodes(software: Software) -> frozenset[str]:
    """Check each node that can compute, and return the names of the processors."""
    nodes = [
        node for node in ray.nodes() if node["Alive"] and "CPU" in node["Resources"]
    ]
    check = ray.remote(num_cpus=0, max_retries=0)(_check)
    checks = {
        check.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(
                node["NodeID"], soft=False
            )
        ).remote(software): node["NodeManagerAddress"]
        for node in nodes
    }
    processors = set()
    for ref, name in checks.items():
        try:
            processors.add(ray.get(ref))
        except exceptions.RayTaskError as error:
            if isinstance(error.cause, OtherSoftware):
                raise error.cause from None
            last = str(error).strip().splitlines()[-1]
            raise UserError(
                f"node {name} cannot run this project ({last}): install the same "
                "packages on it as on this machine"
            ) from None
        except exceptions.RayError:
            continue  # the node has left
    return frozenset(processors)


# The functions below run on the nodes.


def _run_on_node(
    function: Callable[..., Any],
    stored: Stored,  # Ray maps its arrays into the memory of each process of a node
    arguments: Mapping[str, Any],
    software: Software,
) -> tuple[Any, dict[str, str]]:
    """Check this node, which may have joined late, and call a function.

    Returns:
        What the function returned, and the tags of this node.
    """
    tags = {HOST_TAG: platform.node(), PROCESSOR_TAG: _check(software)}
    # Ray's arrays are read-only, and training does not write to the images.
    warnings.filterwarnings("ignore", "The given NumPy array is not writable")
    return function(ray.get(stored[0]), **arguments), tags


def _check(software: Software) -> str:
    """Return the name of this node's processor, if the node has this software."""
    node = f"node {ray.util.get_node_ip_address()}"
    remedy = (
        "uninstall the project on this node, which seems to import its own copy "
        "instead of the code that the sweep sends"
    )
    if torch_version() != software.torch:
        remedy = f"install PyTorch {software.torch} on this node"
    software.check(node, remedy=f"{remedy}, or stop the node")
    return processor()
