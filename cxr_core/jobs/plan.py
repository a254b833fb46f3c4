"""What is a job to do: folds, seeds, sources or a search?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cxr_core.config import RUNS_DIR
from cxr_core.recipes.hyperparameter_search import tunable
from cxr_core.recipes.training_config import TrainingConfig
from cxr_core.system.validation import check_kinds

JobKind = Literal["folds", "seeds", "sources", "search"]
KINDS: dict[JobKind, str] = {
    "folds": "Cross-validation: every image is tested once, by a network that was not trained on it or its patient. "
    "One training per fold.",
    "seeds": "The same training with several seeds, each with its own split, initial weights and order of the images: "
    "how much of a score is chance. One training per seed.",
    "sources": "Leaves one source out: each hospital or collection is tested by a network that saw none of its images, "
    "and once all of them with patients kept together. What is lost between the two is what a new hospital costs. One "
    "training per source, and one more.",
    "search": "Tries learning rates, dropouts and strengths of augmentation; the validation loss decides, and only the "
    "chosen trial is tested. One training per trial.",
}
# For each rule: the field whose value an error names, whether a plan keeps the rule, and the rule in words.
_RULES: tuple[tuple[str, Callable[["JobPlan"], bool], str], ...] = (
    ("count", lambda p: p.kind != "folds" or p.count >= 2, "a cross-validation needs at least 2 folds"),
    ("count", lambda p: p.kind != "search" or p.count >= 1, "a search needs at least 1 trial"),
    (
        "seeds",
        lambda p: p.kind != "seeds" or len(set(p.seeds)) == len(p.seeds) >= 2,
        "repeating needs at least 2 seeds, each once",
    ),
    (
        "sources",
        lambda p: p.kind != "sources" or len(set(p.sources)) == len(p.sources) >= 2,
        "leaving one source out needs at least 2 sources, each once",
    ),
    ("seeds", lambda p: all(seed >= 0 for seed in p.seeds), "seeds must be whole numbers from 0"),
    ("at_once", lambda p: p.at_once >= 1, "at_once must be at least 1"),
)


@dataclass(frozen=True, kw_only=True)
class JobPlan:
    """What a job is to do.

    Attributes:
        kind: see `KINDS`.
        config: what all its runs have in common; the seed also decides what a search tries.
        count: number of folds (at least 2) or trials (at least 1); else 0.
        seeds: at least 2 different ones for "seeds", else empty.
        sources: at least 2 different ones for "sources", see `sources.image_sources`; else empty.
        tune: keys of `hyperparameter_search.TUNABLE`, at least one for "search", else empty.
        at_once: at least 1, trainings at the same time. Each uses all cores that are free and about a gigabyte.
        ray: address of a Ray cluster to train on; "" for this computer.
        runs_dir: the folder of all runs; every worker of a cluster must see it under this path.
        prefix: beginning of the run folders' names; chosen when the job is created, so that no two jobs share a run.

    Raises:
        ValueError: a value outside its range; the rule and the value are named.
    """

    kind: JobKind
    config: TrainingConfig
    count: int = 0
    seeds: tuple[int, ...] = ()
    sources: tuple[str, ...] = ()
    tune: tuple[str, ...] = ()
    at_once: int = 1
    ray: str = ""
    runs_dir: str = str(RUNS_DIR)
    prefix: str = ""

    def __post_init__(self) -> None:
        check_kinds(self)
        for name, holds, rule in _RULES:
            if not holds(self):
                raise ValueError(f"{rule}; received {getattr(self, name)!r}.")
        if self.kind == "search" and not (self.tune and set(self.tune) <= set(tunable(self.config))):
            known = ", ".join(tunable(self.config))
            raise ValueError(f"a search of this recipe can tune {known}; received {self.tune!r}.")
        if self.kind in ("folds", "sources") and self.config.split != "grouped":
            raise ValueError(
                "Folds and sources keep patients together: they need the grouped split; received "
                f"{self.config.split!r}."
            )

    @property
    def total(self) -> int:
        """How many runs there will be."""
        if self.kind == "sources":
            return 1 + len(self.sources)
        return len(self.seeds) if self.kind == "seeds" else self.count
