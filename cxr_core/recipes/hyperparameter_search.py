"""A small search for better settings: what each trial tries, given how the earlier ones did."""

from dataclasses import replace

from cxr_core.imaging.augmentation import Augmentation

TUNABLE = {
    "learning_rate": "From a tenth to ten times of the recipe's. Costs nothing.",
    "dropout": "From 0 to 0.8, the largest one of the head; the others keep their proportion. Costs nothing.",
    "augmentation": "Every change from none to one and a half times as strong. Where activations of augmented copies "
    "are kept, each trial computes its own: minutes, and about 0.5 MB of cache per image and trial.",
}
_STRENGTHS = (
    "rotation_degrees", "zoom", "shift", "frame", "histogram_matching", "spectrum_matching", "brightness", "contrast", "blur",
    "resolution", "gamma", "noise", "text_overlay",
)  # fmt: skip
_MOST_STRENGTH = 1.5


def tunable(config):
    """Return the keys of `TUNABLE` that change anything for a TrainingConfig."""
    return tuple(key for key in TUNABLE if key != "augmentation" or config.train_from != "head")


def suggest_trial(base, tune, past, *, number, seed):
    """Choose the settings of a trial.

    Args:
        base: training_config.TrainingConfig to start from.
        tune: sequence of keys of `TUNABLE`.
        past: list of (values, loss): what earlier trials tried, as this function returned it, and their lowest
            validation loss; None for one that failed.
        number: int, from 1; the first trial tries the settings as they are.
        seed: int; the same past, number and seed give the same trial.

    Returns:
        (config, values): TrainingConfig and dict of key to float.

    Source:
        Tree-structured Parzen estimator (Bergstra et al. 2011, NeurIPS 24; Watanabe 2023, arXiv:2304.11127) of
        Optuna (Akiba et al. 2019, arXiv:1907.10902).
    """
    # Half a second to import, and nothing but a search needs it.
    import optuna

    largest = max(base.head_dropouts, default=0.0)
    ranges = {
        "learning_rate": optuna.distributions.FloatDistribution(
            base.learning_rate / 10, min(1.0, base.learning_rate * 10), log=True
        ),
        "dropout": optuna.distributions.FloatDistribution(0.0, max(0.8, largest)),
        "augmentation": optuna.distributions.FloatDistribution(0.0, _MOST_STRENGTH),
    }
    ranges = {key: ranges[key] for key in tune}
    if number == 1:
        now = {"learning_rate": base.learning_rate, "dropout": largest, "augmentation": 1.0}
        return base, {key: float(now[key]) for key in tune}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1000 * seed + number))
    for tried, loss in past:
        told = {"value": loss} if loss is not None else {"state": optuna.trial.TrialState.FAIL}
        study.add_trial(optuna.trial.create_trial(params=tried, distributions=ranges, **told))
    values = study.ask(ranges).params
    return _with_values(base, values), values


def _with_values(base, values):
    changes = {}
    if "learning_rate" in values:
        changes["learning_rate"] = float(values["learning_rate"])
    if "dropout" in values:
        largest = max(base.head_dropouts, default=0)
        changes["head_dropouts"] = tuple(
            round(values["dropout"] * (d / largest if largest else 1), 4) for d in base.head_dropouts
        )
    if "augmentation" in values:
        changes["augmentation"] = _strengthened(base.augmentation, values["augmentation"])
    return replace(base, **changes)


def _strengthened(augmentation, factor):
    """Return an Augmentation whose every strength is multiplied; what a share or a range limits stays within it."""
    limits = {"frame": 1.0, "histogram_matching": 1.0, "spectrum_matching": 1.0, "brightness": 1.0, "text_overlay": 1.0}
    limits |= {"zoom": 0.9, "shift": 0.9, "contrast": 0.99, "resolution": 0.95, "gamma": 3.0, "noise": 100.0}
    limits |= {"blur": 20.0, "rotation_degrees": 180.0}
    strengths = {n: min(limits[n], round(getattr(augmentation, n) * factor, 4)) for n in _STRENGTHS}
    quality = max(1, round(100 - (100 - augmentation.jpeg_quality) * factor))
    return Augmentation(
        **augmentation.to_dict() | {n: float(v) for n, v in strengths.items()} | {"jpeg_quality": quality}
    )
