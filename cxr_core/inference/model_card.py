"""A model's card: what a classifier knows of itself, written beside its graph."""

from dataclasses import dataclass, field
from pathlib import Path

from cxr_core.imaging.preprocessing import Preprocessing, preprocessing_from_dict
from cxr_core.system.files import read_json, write_json
from cxr_core.system.renamed_keys import OPERATING_POINT_COUNTS, rename_keys, rename_training_settings


@dataclass(frozen=True, kw_only=True)
class Card:
    """What belongs to a classifier.

    Attributes:
        name: str.
        classes: tuple of str, class folder names in the order of the graph's outputs.
        preprocessing: the one an image must go through.
        map_layers: tuple of str, layers that Grad-CAM maps can be made from, the default first.
        training: dict, the configuration, counts and data set fingerprint.
        metrics: dict, `metrics.json`.
        temperature: float > 0 that the logits are divided by, fitted on validation; 1 leaves them.
        operating_point: dict, as `operating_point.save_operating_point` keeps it; empty where none was chosen.
        abstain_below: float in [0, 1]; less sure, it answers "not sure". 0 where none was chosen.
    """

    name: str
    classes: tuple
    preprocessing: Preprocessing
    map_layers: tuple
    training: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    temperature: float = 1.0
    operating_point: dict = field(default_factory=dict)
    abstain_below: float = 0.0


def write_card(card, folder):
    """Write `card.json` into a folder, atomically."""
    values = vars(card) | {"preprocessing": card.preprocessing.to_dict()}
    write_json(Path(folder) / "card.json", values)


def load_card(folder):
    """Read a folder's `card.json`.

    Raises:
        FileNotFoundError: there is no card.
        ValueError: it is not a card this version understands.
    """
    values = read_json(Path(folder) / "card.json")
    try:
        return Card(
            name=values["name"],
            classes=tuple(values["classes"]),
            preprocessing=preprocessing_from_dict(values["preprocessing"]),
            map_layers=tuple(values["map_layers"]),
            training=rename_training_settings(values["training"]),
            metrics=values["metrics"],
            # Cards from before these were measured have none.
            temperature=float(values.get("temperature", 1.0)),
            operating_point=rename_keys(values.get("operating_point", {}), OPERATING_POINT_COUNTS),
            abstain_below=float(values.get("abstain_below", 0.0)),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{Path(folder) / 'card.json'} is no card of this version: {error}.") from error
