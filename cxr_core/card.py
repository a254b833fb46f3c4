"""A model's card: what a classifier knows of itself, written beside its graph."""

from dataclasses import dataclass, field
from pathlib import Path

from cxr_core.files import read_json, write_json
from cxr_core.preprocess import Preprocessing, preprocessing_from_dict


@dataclass(frozen=True, kw_only=True)
class Card:
    """What belongs to a classifier.

    Attributes:
        name: str.
        classes: tuple of str, class folder names in the order of the graph's outputs.
        preprocessing: the one a picture must go through.
        map_layers: tuple of str, layers that Grad-CAM maps can be made from, the default first.
        training: dict, the configuration, counts and data set fingerprint.
        metrics: dict, `metrics.json`.
    """

    name: str
    classes: tuple
    preprocessing: Preprocessing
    map_layers: tuple
    training: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)


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
            training=values["training"],
            metrics=values["metrics"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{Path(folder) / 'card.json'} is no card of this version: {error}.") from error
