"""What does a classifier know of itself?

Its card is written beside its graph, as `card.json`.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxr_core.imaging.preprocessing import MapOffset, Preprocessing, preprocessing_from_dict
from cxr_core.system.files import read_json, write_json
from cxr_core.system.renamed_keys import OPERATING_POINT_COUNTS, rename_keys, rename_training_settings


@dataclass(frozen=True, kw_only=True)
class Card:
    """What belongs to a classifier.

    Attributes:
        name: what the classifier is called.
        classes: class folder names, in the order of the graph's outputs.
        preprocessing: what every image goes through before the network.
        map_layers: layers that Grad-CAM maps can be computed from, the default first.
        map_offsets: by layer, how far beside an even grid over the image the cells of its maps look; see
            `map_alignment.map_offsets`. Cards of earlier versions have none, and their maps are drawn on the grid.
        training: configuration, counts and data set fingerprint of the training.
        metrics: what `metrics.json` holds: an `evaluation.metrics.Metrics` per set of images, and what else was
            measured.
        temperature: above 0; the logits are divided by it. Fitted on the validation images; 1 changes nothing.
        operating_point: as `operating_point.save_operating_point` stores it; empty if none was chosen.
        abstain_below: confidence in [0, 1] below which the classifier abstains; 0 if none was chosen.
    """

    name: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    map_layers: tuple[str, ...]
    map_offsets: dict[str, MapOffset] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    temperature: float = 1.0
    operating_point: dict[str, Any] = field(default_factory=dict)
    abstain_below: float = 0.0

    def map_offset(self, layer: str | None = None) -> MapOffset:
        """Return the offset of a layer's maps, of the default layer's if none is named; (0, 0) where none is known."""
        return self.map_offsets.get(layer or self.map_layers[0], (0.0, 0.0))


def write_card(card: Card, folder: str | Path) -> None:
    """Write `card.json` into a folder, atomically."""
    values = vars(card) | {"preprocessing": card.preprocessing.to_dict()}
    write_json(Path(folder) / "card.json", values)


def load_card(folder: str | Path) -> Card:
    """Read a folder's `card.json`.

    Raises:
        FileNotFoundError: there is no card.
        ValueError: the file is not a card that this version understands.
    """
    path = Path(folder) / "card.json"
    try:
        values = read_json(path)
        card = Card(
            name=values["name"],
            classes=tuple(values["classes"]),
            preprocessing=preprocessing_from_dict(values["preprocessing"]),
            map_layers=tuple(values["map_layers"]),
            training=rename_training_settings(values["training"]),
            metrics=values["metrics"],
            # Cards written before these were measured lack them.
            map_offsets={layer: (float(y), float(x)) for layer, (y, x) in values.get("map_offsets", {}).items()},
            temperature=float(values.get("temperature", 1.0)),
            operating_point=rename_keys(values.get("operating_point", {}), OPERATING_POINT_COUNTS),
            abstain_below=float(values.get("abstain_below", 0.0)),
        )
        _check(card)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(
            f"{folder} holds no classifier: there is no {path.name}. Choose the folder of a model, or of a run that "
            "ended with one."
        ) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path.name} of {path.parent.name} is not a card of this version: {error}") from error
    return card


def _check(card: Card) -> None:
    """Raise a ValueError unless a card's values are of the right kinds and within their ranges."""
    rules = {
        "name must be text": isinstance(card.name, str),
        "classes must be two or more different names": len(set(card.classes)) == len(card.classes) > 1
        and all(isinstance(name, str) for name in card.classes),
        "map_layers must be names": bool(card.map_layers) and all(isinstance(name, str) for name in card.map_layers),
        "training, metrics and operating_point must be named values": all(
            isinstance(values, dict) for values in (card.training, card.metrics, card.operating_point)
        ),
        "temperature must be above 0": 0 < card.temperature < math.inf,
        "abstain_below must lie in [0, 1]": 0 <= card.abstain_below <= 1,
    }
    for rule, holds in rules.items():
        if not holds:
            raise ValueError(f"{rule}.")
