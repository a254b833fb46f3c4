"""What does the next trial of a hyperparameter search try, given the results of earlier ones?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cxr_core.imaging.augmentation import RANGES, Augmentation
from cxr_core.recipes.training_config import TrainingConfig

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

TUNABLE = {
    "learning_rate": "From a tenth of the recipe's to ten times as high. Costs no extra time.",
    "dropout": "From 0 to 0.8 for the highest dropout of the head; the others stay in proportion. Costs no extra time.",
    "augmentation": "From none to one and a half times as strong. Where activations of augmented images are cached, "
    "each trial computes its own: minutes, and about 0.5 MB of cache per image and trial.",
}
_STRENGTHS = (
    "rotation_degrees", "zoom", "shift", "frame", "histogram_matching", "spectrum_matching", "brightness", "contrast",
    "blur", "resolution", "gamma", "noise", "text_overlay", "outside_lungs",
)  # fmt: skip
_MOST_STRENGTH = 1.5


def tunable(config: TrainingConfig) -> tuple[str, ...]:
    """Return the keys of `TUNABLE` that have an effect on a training."""
    return tuple(key for key in TUNABLE if key != "augmentation" or config.train_from != "head")


def suggest_trial(
    base: TrainingConfig,
    tune: Sequence[str],
    past: Sequence[tuple[Mapping[str, float], float | None]],
    *,
    number: int,
    seed: int,
) -> tuple[TrainingConfig, dict[str, float]]:
    """Choose the settings of a trial.

    Args:
        base: configuration to start from.
        tune: keys of `TUNABLE`.
        past: (values, loss) of each earlier trial: what it tried, as this function returned it, and its lowest
            validation loss; None for a trial that failed.
        number: of the trial, from 1; the first one tries the settings as they are.
        seed: the same past, number and seed give the same trial.

    Returns:
        (config, values): the trial's configuration, and what it tries of each key in `tune`.

    Source:
        Tree-structured Parzen estimator (Bergstra et al. 2011, NeurIPS 24; Watanabe 2023, arXiv:2304.11127) of
        Optuna (Akiba et al. 2019, arXiv:1907.10902).
    """
    # Importing it takes half a second, and nothing but a search needs it.
    import optuna
    from optuna.trial import TrialState, create_trial

    if number == 1:
        now = {"learning_rate": base.learning_rate, "dropout": _largest_dropout(base), "augmentation": 1.0}
        return base, {key: float(now[key]) for key in tune}
    ranges = _ranges(base, tune)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1000 * seed + number))
    for tried, loss in past:
        state = TrialState.FAIL if loss is None else TrialState.COMPLETE
        study.add_trial(create_trial(params=dict(tried), distributions=ranges, value=loss, state=state))
    values = study.ask(ranges).params
    return _with_values(base, values), values


def _ranges(base: TrainingConfig, tune: Sequence[str]) -> dict[str, "BaseDistribution"]:
    """Return what each key in `tune` may be."""
    from optuna.distributions import FloatDistribution

    ranges: dict[str, BaseDistribution] = {
        "learning_rate": FloatDistribution(base.learning_rate / 10, min(1.0, base.learning_rate * 10), log=True),
        "dropout": FloatDistribution(0.0, max(0.8, _largest_dropout(base))),
        "augmentation": FloatDistribution(0.0, _MOST_STRENGTH),
    }
    return {key: ranges[key] for key in tune}


def _largest_dropout(config: TrainingConfig) -> float:
    return max(config.head_dropouts, default=0.0)


def _with_values(base: TrainingConfig, values: Mapping[str, float]) -> TrainingConfig:
    changes: dict[str, Any] = {}
    if "learning_rate" in values:
        changes["learning_rate"] = float(values["learning_rate"])
    if "dropout" in values:
        largest = _largest_dropout(base)
        changes["head_dropouts"] = tuple(
            round(values["dropout"] * (d / largest if largest else 1), 4) for d in base.head_dropouts
        )
    if "augmentation" in values:
        changes["augmentation"] = _strengthened(base.augmentation, values["augmentation"])
    return replace(base, **changes)


def _strengthened(augmentation: Augmentation, factor: float) -> Augmentation:
    """Multiply every strength of an augmentation, and keep each within the range that `Augmentation` allows."""
    strengths = {n: min(RANGES[n][1], round(getattr(augmentation, n) * factor, 4)) for n in _STRENGTHS}
    quality = max(1, round(100 - (100 - augmentation.jpeg_quality) * factor))
    return Augmentation(
        **augmentation.to_dict() | {n: float(v) for n, v in strengths.items()} | {"jpeg_quality": quality}
    )
