"""In which settings do runs differ?"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from cxr_core.recipes.training_config import TrainingConfig


def setting_differences(configs: Mapping[str, TrainingConfig]) -> pd.DataFrame:
    """Find the settings in which runs differ.

    Args:
        configs: {name of the run: its configuration}.

    Returns:
        Texts, one row per setting that is not the same for all, one column per run; inner settings are written with a
        dot, as `--set` takes them.
    """
    columns = {name: dict(_flat(asdict(config))) for name, config in configs.items()}
    table = pd.DataFrame(columns, dtype=object).map(json.dumps)
    return table[table.nunique(axis=1) > 1]


def flat_settings(config: TrainingConfig) -> list[tuple[str, Any]]:
    """Return a configuration as (name, value) pairs; inner settings are written with a dot."""
    return list(_flat(config.to_dict()))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
