"""Which trainings reproduce the article: as it is written, soundly, or quickly?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cxr_core.recipes.training_config import TrainingConfig, make_config


@dataclass(frozen=True)
class Variant:
    """A way to reproduce the article.

    Attributes:
        label: for a person.
        recipe: a key of `presets.RECIPES`.
        split: a key of `split.SPLIT_KINDS`.
        note: what it is good for, and how long it takes.
    """

    label: str
    recipe: str
    split: str
    note: str


VARIANTS = {
    "article": Variant(
        "As written",
        "article",
        "article",
        "Recipe and split of the article: all layers, 50 epochs, the test images choose the epoch. About an hour for "
        "2,000 images on two cores.",
    ),
    "sound": Variant(
        "Sound",
        "article-sound",
        "grouped",
        "The same with batch-norm momentum 0.9, patients and copies kept together, and validation apart from test.",
    ),
    "quick": Variant(
        "Quick",
        "quick",
        "article",
        "The quick recipe on the article's split: a page in about two minutes, whose figures are not the article's.",
    ),
}


def reproduction_config(
    variant: str, roots: Sequence[str], *, seed: int, split: str | None = None, settings: Iterable[str] = ()
) -> TrainingConfig:
    """Return the configuration of a reproduction.

    Args:
        variant: a key of `VARIANTS`.
        roots: data set folders, absolute.
        seed: as for `TrainingConfig`.
        split: a key of `split.SPLIT_KINDS`; the variant's own by default.
        settings: "key=value", as for `training_config.make_config`.

    Raises:
        ValueError: as for `training_config.make_config`.
    """
    chosen = VARIANTS[variant]
    return make_config(chosen.recipe, roots=tuple(roots), split=split or chosen.split, seed=seed, settings=settings)
