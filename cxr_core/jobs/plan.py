"""What a job is to do: folds, seeds or a search."""

from dataclasses import dataclass

from cxr_core.config import RUNS_DIR
from cxr_core.recipes.hyperparameter_search import tunable
from cxr_core.recipes.training_config import TrainingConfig
from cxr_core.system.validation import check_kinds

KINDS = {
    "folds": "Cross-validation: every image is tested once, by a network that never saw it or its patient. Costs as "
    "many trainings as there are folds.",
    "seeds": "The same training under several seeds, each with its own split, weights and order: how much of a score "
    "is luck. Costs one training per seed.",
    "search": "Tries learning rates, dropouts and strengths of augmentation; validation chooses, and only the chosen "
    "one is tested. Costs one training per trial.",
}


@dataclass(frozen=True, kw_only=True)
class JobPlan:
    """What a job is to do.

    Attributes:
        kind: a key of `KINDS`.
        config: training_config.TrainingConfig that all its runs begin with; of a search, `seed` also decides what is tried.
        count: int, folds (at least 2) or trials (at least 1); 0 for seeds.
        seeds: tuple of different int, at least 2 for "seeds", else empty.
        tune: tuple of keys of `hyperparameter_search.TUNABLE`, at least one for "search", else empty.
        at_once: int >= 1, trainings at the same time. Each takes all cores it can get and about a gigabyte.
        ray: str, address of a Ray cluster that trains them, "" for this computer.
        runs_dir: str, where the run folders lie; every worker of a cluster must see it under this path.
        prefix: str, what their names begin with; chosen when the job is made, so that no two jobs share a run.

    Raises:
        ValueError: a value outside its range; the rule and the value are named.
    """

    kind: str
    config: TrainingConfig
    count: int = 0
    seeds: tuple = ()
    tune: tuple = ()
    at_once: int = 1
    ray: str = ""
    runs_dir: str = str(RUNS_DIR)
    prefix: str = ""

    def __post_init__(self):
        check_kinds(self)
        rules = (
            (self.kind in KINDS, f"kind must be one of {', '.join(KINDS)}", self.kind),
            (self.kind != "folds" or self.count >= 2, "a cross-validation needs at least 2 folds", self.count),
            (self.kind != "search" or self.count >= 1, "a search needs at least 1 trial", self.count),
            (
                self.kind != "search" or (self.tune and set(self.tune) <= set(tunable(self.config))),
                f"a search of this recipe can tune {', '.join(tunable(self.config))}",
                self.tune,
            ),
            (
                self.kind != "seeds" or len(set(self.seeds)) == len(self.seeds) >= 2,
                "repeating needs at least 2 seeds, each once",
                self.seeds,
            ),
            (all(type(s) is int and s >= 0 for s in self.seeds), "seeds must be whole numbers from 0", self.seeds),
            (self.at_once >= 1, "at_once must be at least 1", self.at_once),
        )
        for holds, rule, value in rules:
            if not holds:
                raise ValueError(f"{rule}; received {value!r}.")
        if self.kind == "folds" and self.config.split != "grouped":
            raise ValueError(
                f"Folds keep patients together: they need the grouped split; received {self.config.split!r}."
            )

    @property
    def total(self):
        """How many runs there will be."""
        return len(self.seeds) if self.kind == "seeds" else self.count
