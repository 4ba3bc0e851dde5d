"""Makes scenes on a Ray cluster. Ray is optional: it is imported only when a cluster is asked for.

A task is a pure function of its seed, so Ray may run one again after losing a machine. Scenes travel back to whoever
asked and are written there: the machines of the cluster need this package and the object sets, and no shared disk.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence

from giga_perception.dataset import LabelledScene
from giga_sim.dataset_generation import SceneTask, make_scene_of
from giga_sim.label_generation import GenerationSettings

LOCAL_CLUSTER = "local"
# So many tasks wait for each core: it never idles, and little is lost when the work is stopped.
TASKS_PER_CORE = 2
RETRIES_PER_TASK = 3
ANSWER_TIMEOUT_S = 10.0


class ClusterError(Exception):
    """There is no cluster to work on; the message says why and what to do."""


def scenes_of_cluster(
    tasks: Sequence[SceneTask], settings: GenerationSettings, address: str, local_cores: int
) -> Iterator[tuple[SceneTask, LabelledScene | None, float]]:
    """Tasks with their scenes (None: nothing stayed on the table) and CPU seconds, as they are ready.

    address: `local` starts a cluster on this machine with `local_cores` processes; `auto` or HOST:PORT joins one.
    Raises ClusterError when Ray is not installed or the cluster cannot be reached.
    """
    try:
        import ray
    except ImportError as error:
        raise ClusterError(
            "work on a cluster needs Ray, which is not installed: `pip install ray`, or leave --distributed out"
        ) from error
    try:
        if address == LOCAL_CLUSTER:
            ray.init(address=address, num_cpus=local_cores, include_dashboard=False, log_to_driver=False)
        else:
            _check_that_it_answers(address)
            ray.init(address=address, log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"no Ray cluster answers at {address!r} ({error}); start one with `ray start --head`, or say "
            f"--distributed {LOCAL_CLUSTER}"
        ) from error
    try:
        remote = ray.remote(num_cpus=1, max_retries=RETRIES_PER_TASK)(make_scene_of)
        in_flight = max(1, int(ray.cluster_resources().get("CPU", 1))) * TASKS_PER_CORE
        running = {}
        for task in tasks:
            running[remote.remote(task, settings)] = task
            if len(running) == in_flight:
                yield from _finished(ray, running)
        while running:
            yield from _finished(ray, running)
    finally:
        ray.shutdown()


def _check_that_it_answers(address: str) -> None:
    """Raises OSError when nothing listens at HOST:PORT; Ray itself would wait for minutes."""
    host, separator, port = address.rpartition(":")
    if separator and port.isdecimal() and "://" not in host:
        socket.create_connection((host, int(port)), timeout=ANSWER_TIMEOUT_S).close()


def _finished(ray, running):  # type: ignore[no-untyped-def]  # Ray's types are there only where Ray is
    """Wait for one task; take what is ready out of `running`."""
    ready, _ = ray.wait(list(running), num_returns=1)
    for reference in ready:
        yield running.pop(reference), *ray.get(reference)
