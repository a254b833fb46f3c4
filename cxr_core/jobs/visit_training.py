"""What may a visitor of a shared installation train, for how long is it kept, and when is its turn?

The teaching set alone, with the recipe quick and few choices, all of them bounded. Such a run lies among the others,
marked so that only its own visitor sees it, and waits in the queue of all.
"""

import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from cxr_core.config import RUNS_DIR, TEACHING_DIR
from cxr_core.jobs.training_queue import all_runs, queue_training, queued_runs
from cxr_core.recipes.training_config import TrainingConfig, make_config
from cxr_core.runs.lifecycle import delete_run
from cxr_core.runs.run import VISIT_FILE, Run, list_runs
from cxr_core.splits.curation import Curation

KEPT_RUNS, KEPT_SECONDS = 20, 24 * 3_600.0
# Half of the queue is left to others.
WAITING_RUNS = 10
SPLITS = ("grouped", "stratified", "random", "article")
EPOCHS = (5, 40)
BATCH_SIZES = (16, 32, 64)
LEARNING_RATES = (0.0002, 0.001, 0.005, 0.02, 0.1)
SEEDS = (0, 99)


@dataclass(frozen=True, kw_only=True)
class VisitChoices:
    """What a visitor chooses; the defaults are those of the recipe.

    Attributes:
        split: one of `SPLITS`.
        epochs: in the range `EPOCHS`.
        batch_size: one of `BATCH_SIZES`.
        learning_rate: one of `LEARNING_RATES`.
        seed: in the range `SEEDS`.

    Raises:
        ValueError: a choice that is not offered; a browser can send any.
    """

    split: str = "grouped"
    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 0.005
    seed: int = 0

    def __post_init__(self) -> None:
        for name, offered in (("split", SPLITS), ("batch_size", BATCH_SIZES), ("learning_rate", LEARNING_RATES)):
            if getattr(self, name) not in offered:
                raise ValueError(f"{name} must be one of {', '.join(map(str, offered))}.")
        for name, (least, most) in (("epochs", EPOCHS), ("seed", SEEDS)):
            value = getattr(self, name)
            if not (isinstance(value, int) and least <= value <= most):
                raise ValueError(f"{name} must be from {least} to {most}.")


def visit_config(choices: VisitChoices) -> TrainingConfig:
    """Return the configuration of a visitor's training: quick, on the teaching set, without any download."""
    return make_config("quick", roots=(str(TEACHING_DIR),), start="shipped", **vars(choices))


def queue_visit_training(
    choices: VisitChoices,
    own: Collection[str],
    *,
    curation: Curation | None = None,
    runs_dir: str | Path | None = None,
) -> Run:
    """Put a visitor's training at the end of the queue; the oldest one of visitors goes where there are too many.

    Args:
        choices: what the visitor chose.
        own: names of the runs that this visitor started before.
        curation: the visitor's decisions about the images.
        runs_dir: the folder of all runs; `config.RUNS_DIR` by default.

    Raises:
        ValueError: one of the visitor's own waits or trains already, too many of visitors wait, or it does not fit
            into memory.
    """
    runs_dir = Path(runs_dir or RUNS_DIR)
    runs_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(runs_dir / ".visits.lock"):
        remove_visit_runs(runs_dir, keep=KEPT_RUNS - 1)
        runs = list_runs(runs_dir, of_visits=True)
        if any(run.name in own and _is_unfinished(run) for run in runs):
            raise ValueError("A training of yours is waiting or running. Wait for its end, or stop it under Watch.")
        if len(queued_runs(runs)) >= WAITING_RUNS or len(runs) >= KEPT_RUNS:
            raise ValueError(f"At most {WAITING_RUNS} trainings of visitors may wait. Try again in some minutes.")
        return queue_training(visit_config(choices), runs_dir, curation, of_visit=True)


def visit_runs(own: Collection[str]) -> list[Run]:
    """Return those of a visitor's runs, by their names, that are still kept; newest first."""
    return [run for run in list_runs(of_visits=True) if run.name in own and _age(run) < KEPT_SECONDS] if own else []


def place_in_queue(run: Run) -> int:
    """Return how many trainings are ahead of a waiting run, the one that is running included."""
    runs = all_runs(run.path.parent)
    waiting = [other.name for other in queued_runs(runs)]
    ahead = waiting.index(run.name) if run.name in waiting else 0
    return ahead + any(other.status().is_active for other in runs)


def remove_visit_runs(runs_dir: str | Path | None = None, *, keep: int = KEPT_RUNS) -> None:
    """Delete the runs of visitors that are older than a day, and the oldest of the rest until `keep` are left.

    What is training stays, and so does what waits and is not older than a day.
    """
    ended = []
    runs = list_runs(runs_dir or RUNS_DIR, of_visits=True)
    for run in runs:
        if _age(run) >= KEPT_SECONDS:
            _remove(run)
        elif not _is_unfinished(run):
            ended.append(run)
    too_many = len([run for run in runs if run.path.exists()]) - keep
    for run in ended[::-1][: max(0, too_many)]:
        _remove(run)


def _is_unfinished(run: Run) -> bool:
    status = run.status()
    return status.is_active or status.state == "queued"


def _age(run: Run) -> float:
    """Return the seconds since a visitor started a run; those of one that is gone are without end."""
    try:
        return time.time() - (run.path / VISIT_FILE).stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _remove(run: Run) -> None:
    # A process may be training or exporting it; then it goes the next time.
    with suppress(ValueError, FileNotFoundError):
        delete_run(run)
