"""How are the runs of a job trained on a Ray cluster? Optional: `pip install -r requirements-extra.txt`.

The workers must see images, runs and this project under the same paths as the computer that starts the job, on a shared
disk. Each task starts the same process as on one computer, in the same run folder, and waits for it. If a worker or its
computer is lost, its training ends with it, and Ray starts the task again elsewhere: the run continues after its last
finished epoch.
"""

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import ray

from cxr_core.jobs.ray_address import check_cluster, no_membership
from cxr_core.runs.lifecycle import resume_run
from cxr_core.runs.run import Run
from cxr_core.system.processes import tie_to_parent

# Of the computer that starts the job; a worker's own may lead elsewhere.
_SETTINGS = ("CXR_LAB_HOME", "KERAS_HOME", "TF_CPP_MIN_LOG_LEVEL")
_POLL_SECONDS = 0.5
_RETRIES = 10
# Enough that no core waits, few enough that the results do not pile up.
_CHUNKS_PER_CORE = 4


class LostTraining(RuntimeError):
    """A training's process ended unexpectedly; Ray tries the task again."""


class RayWorkers:
    """Train on a cluster, each run as one task; see `scheduler.Workers`.

    Args:
        address: such as "10.0.0.5:6379", or "auto" for the cluster that this computer belongs to.
        at_once: how many trainings run at the same time; Ray places one per free processor core.

    Raises:
        ValueError: there is no cluster at that address, this computer does not belong to it, or Ray refuses it.
    """

    def __init__(self, address: str, at_once: int) -> None:
        check_cluster(address)
        # What answers and is no cluster is asked once; Ray's default is 20 times.
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")
        try:
            ray.init(address, ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR)
        except ConnectionError as error:
            raise ValueError(no_membership(address)) from error
        except RuntimeError as error:
            # Such as another version of Ray or of Python, on several lines.
            raise ValueError(f"The Ray cluster at {address} cannot be used: {' '.join(str(error).split())}") from error
        self.at_once = at_once
        self._settings = {name: os.environ[name] for name in _SETTINGS if name in os.environ}
        # By the name of the run.
        self._tasks: dict[str, Any] = {}

    def share(self, function: Callable[[Any], Any], chunks: Iterable[Any]) -> Iterator[Any]:
        """Yield function(chunk) for every chunk, in order; each is a task, started again if its worker is lost.

        Raises:
            OSError: the cluster is lost, or no worker of it lived long enough; or the function raised it.
            ValueError: the function raised it.
        """
        waiting, tasks = iter(chunks), deque[Any]()
        ahead = _CHUNKS_PER_CORE * max(1, int(ray.cluster_resources().get("CPU", 1)))
        while True:
            tasks.extend(_apply.remote(function, chunk) for chunk in islice(waiting, ahead - len(tasks)))
            if not tasks:
                return
            yield _result_of(tasks.popleft())

    def start(self, run: Run) -> None:
        """Begin a run, or continue it after its last finished epoch, on some worker."""
        self._tasks[run.name] = _train.remote(str(run.path), self._settings)

    def has_ended(self, run: Run) -> bool:
        """Return True once a run's task has ended, whether it succeeded or failed: the run's folder says which."""
        ready, _ = ray.wait([self._tasks[run.name]], timeout=0)
        if not ready:
            return False
        try:
            ray.get(ready[0])
        except ray.exceptions.RayError as error:
            if run.status().state == "queued":
                message = f"No worker could start it: {str(error).strip().splitlines()[-1]}"
                run.write_status(replace(run.status(), state="failed", message=message))
        return True


def _result_of(task: Any) -> Any:
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError:
        raise
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1]
        raise OSError(f"The cluster could not read the images: {reason} Go on once its workers are back.") from error


@ray.remote(num_cpus=1, max_retries=_RETRIES)
def _apply(function: Callable[[Any], Any], chunk: Any) -> Any:
    return function(chunk)


# Ray's own types know only a bool for `retry_exceptions`.
@ray.remote(num_cpus=1, max_retries=_RETRIES, retry_exceptions=[LostTraining])  # type: ignore[call-overload]
def _train(path: str, settings: dict[str, str]) -> str:
    """Train one run in a process that ends with this worker; returns its final state."""
    os.environ.update(settings)
    tie_to_parent()
    run = Run(Path(path))
    # A lost worker's training may take a moment to notice that its worker is gone.
    while run.status().is_active:
        time.sleep(_POLL_SECONDS)
    if run.status().state != "finished":
        resume_run(run)
        while run.status().is_active:
            time.sleep(_POLL_SECONDS)
    if run.status().lost:
        raise LostTraining(run.status().message)
    return run.status().state
