"""Training on this computer."""

from cxr_core.runs.lifecycle import resume_run


class LocalWorkers:
    """Train on this computer, each run in a process of its own.

    Attributes:
        share: how `prepare_images` shares out its work before the trainings begin; None leaves it to the first of them.
    """

    share = None

    def __init__(self, at_once):
        self.at_once = at_once

    def start(self, run):
        """Begin a run, or let it go on after its last finished epoch."""
        resume_run(run)

    def has_ended(self, run):
        """Return True once no process works on a run."""
        return not run.status().is_active
