"""Prepare images and train a job's runs as tasks of a Ray cluster. Optional: `pip install -r requirements-extra.txt`.

The workers see images, runs and this project under the same paths as the one who asks, on a shared disk. Each task
starts the same process as on one computer, in the same run folder, and waits for it. Where a worker or its whole
computer is lost, its training ends with it, and Ray starts the task again elsewhere: the run goes on after its last
finished epoch.
"""

import os
import time
from collections import deque
from dataclasses import replace
from itertools import islice
from pathlib import Path

import ray

from cxr_core.runs.lifecycle import resume_run
from cxr_core.runs.run import Run
from cxr_core.system.processes import tie_to_parent

# Of the one who asks; a worker's own may lead elsewhere.
_SETTINGS = ("CXR_LAB_HOME", "KERAS_HOME", "TF_CPP_MIN_LOG_LEVEL")
_POLL_SECONDS = 0.5
_RETRIES = 10
# Enough that no core waits, few enough that what is prepared does not pile up.
_CHUNKS_PER_CORE = 4


class LostTraining(RuntimeError):
    """A training's process vanished; Ray tries the task again."""


class RayWorkers:
    """Train on a cluster, each run as one task; see `local_workers.LocalWorkers`.

    Args:
        address: str, such as "10.0.0.5:6379", or "auto" for the cluster this computer belongs to.
        at_once: int, trainings at the same time; Ray places one per free processor core.

    Raises:
        ValueError: there is no cluster at that address.
    """

    def __init__(self, address, at_once):
        try:
            ray.init(address, ignore_reinit_error=True, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError) as error:
            raise ValueError(f"There is no Ray cluster at {address}; start one with `ray start --head`.") from error
        self.at_once = at_once
        self._settings = {name: os.environ[name] for name in _SETTINGS if name in os.environ}
        self._tasks = {}

    def share(self, function, chunks):
        """Give function(chunk) for every chunk, in order; each is a task, begun again where its worker is lost.

        Raises:
            OSError: the cluster is lost, or no worker of it lived long enough.
            OSError, ValueError: what the function raised.
        """
        waiting, tasks = iter(chunks), deque()
        ahead = _CHUNKS_PER_CORE * max(1, int(ray.cluster_resources().get("CPU", 1)))
        while True:
            tasks.extend(_apply.remote(function, chunk) for chunk in islice(waiting, ahead - len(tasks)))
            if not tasks:
                return
            yield _result_of(tasks.popleft())

    def start(self, run):
        """Begin a run, or let it go on after its last finished epoch, on some worker."""
        self._tasks[run.name] = _train.remote(str(run.path), self._settings)

    def has_ended(self, run):
        """Return True once its task has ended, for good or bad: the run's folder says which."""
        ready, _ = ray.wait([self._tasks[run.name]], timeout=0)
        if not ready:
            return False
        try:
            ray.get(ready[0])
        except ray.exceptions.RayError as error:
            if run.status().state == "queued":
                message = f"No worker could begin it: {str(error).strip().splitlines()[-1]}"
                run.write_status(replace(run.status(), state="failed", message=message))
        return True


def _result_of(task):
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError:
        raise
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1]
        raise OSError(
            f"The cluster could not prepare the images: {reason} Resume the job once its workers are there again."
        ) from error


@ray.remote(num_cpus=1, max_retries=_RETRIES)
def _apply(function, chunk):
    return function(chunk)


@ray.remote(num_cpus=1, max_retries=_RETRIES, retry_exceptions=[LostTraining])
def _train(path, settings):
    """Train one run in a process that ends with this worker; returns its final state."""
    os.environ.update(settings)
    tie_to_parent()
    run = Run(Path(path))
    # An earlier worker's training may need a moment to notice that its worker is gone.
    while run.status().is_active:
        time.sleep(_POLL_SECONDS)
    if run.status().state != "finished":
        resume_run(run)
        while run.status().is_active:
            time.sleep(_POLL_SECONDS)
    if run.status().lost:
        raise LostTraining(run.status().message)
    return run.status().state
