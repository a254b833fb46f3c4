"""How are the runs of a job trained on this computer?"""

from cxr_core.runs.lifecycle import resume_run
from cxr_core.runs.run import Run


class LocalWorkers:
    """Train on this computer, each run in a process of its own; see `scheduler.Workers`.

    Args:
        at_once: how many trainings run at the same time.
    """

    # The first training prepares the images.
    share = None

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once

    def start(self, run: Run) -> None:
        """Begin a run, or continue it after its last finished epoch."""
        resume_run(run)

    def has_ended(self, run: Run) -> bool:
        """Return True once no process works on a run."""
        return not run.status().is_active
