"""In which settings runs differ."""

import json

import pandas as pd


def setting_differences(configs):
    """Find the settings in which runs differ.

    Args:
        configs: dict of name to training_config.TrainingConfig.

    Returns:
        DataFrame of str, one row per setting that is not the same for all, one column per name; inner
        settings are written with a dot, as `--set` takes them.
    """
    columns = {name: dict(flat_settings(config)) for name, config in configs.items()}
    table = pd.DataFrame(columns, dtype=object).map(json.dumps)
    return table[table.nunique(axis=1) > 1]


def flat_settings(config):
    """Return a TrainingConfig as a list of (name, value); inner settings are written with a dot."""
    return list(_flat(config.to_dict()))


def _flat(values, prefix=""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
