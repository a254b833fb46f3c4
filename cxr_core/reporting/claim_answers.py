"""What does a run know about each item of the CLAIM checklist?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxr_core.classes import class_label
from cxr_core.config import NOTICE
from cxr_core.data.sources import source_label
from cxr_core.evaluation.metrics import Metrics
from cxr_core.evaluation.scoring import seen_by_start_sentence
from cxr_core.inference.model_card import Card
from cxr_core.reporting.run_statements import (
    disjoint_sentence,
    interval_words,
    looks_words,
    selection_sentence,
)
from cxr_core.robustness.shortcut_results import ShortcutResult, ShortcutSummary
from cxr_core.splits.leakage import leakage_sentence
from cxr_core.system.files import folder_names
from cxr_core.system.text import percent


@dataclass(frozen=True)
class ModelRecord:
    """What is stored about a classifier and its training.

    Attributes:
        card: its card.
        metrics: on "validation" and "test".
        environment: versions and command of the training; empty for a published classifier.
        shortcuts: result of the shortcut test, or None.
        looks: how often its test side was looked at; None where nobody counted.
        worst: the weakest slice of the test images, in a sentence, or None.
        repeats: what runs with other folds or seeds reached, in a sentence; "" without any.
    """

    card: Card
    metrics: dict[str, Metrics]
    environment: Mapping[str, Any]
    shortcuts: ShortcutResult | ShortcutSummary | None
    looks: int | None
    worst: str | None
    repeats: str

    @property
    def training(self) -> dict[str, Any]:
        """Settings of the training."""
        return self.card.training

    @property
    def data(self) -> dict[str, Any]:
        """Counts of its images; empty where none are stored."""
        return self.card.training.get("data", {})

    @property
    def images(self) -> dict[str, int]:
        """{"train", "validation" or "test": number of images}; empty where none are stored."""
        return {side: sum(of_class.values()) for side, of_class in self.data.get("images", {}).items()}

    @property
    def labels(self) -> str:
        """The classes as people read them."""
        return ", ".join(class_label(name) for name in self.card.classes)

    @property
    def excluded(self) -> str:
        """How many images were excluded and why; "" where nothing is stored."""
        told = ", ".join(f"{n} {reason}" for reason, n in (self.data.get("excluded") or {}).items())
        return told or ("none" if self.data else "")

    @property
    def accuracy(self) -> str:
        """Accuracy on the test images, with its interval."""
        test = self.metrics["test"]
        ends = test["ci95"]["accuracy"]
        return percent(test["accuracy"]) + (f" (95 %: {percent(ends[0])} to {percent(ends[1])})" if ends else "")


def answers(record: ModelRecord) -> dict[str, str]:
    """Return what is known, {name in `claim_checklist`: sentences}; "" for what is not, and nothing is invented."""
    return {
        **_study(record),
        **_data(record),
        **_model(record),
        **_training(record),
        **_evaluation(record),
        **_results(record),
        "limits": " ".join(_limits(record)),
        "implications": f"None for practice. {NOTICE}",
        "protocol": _sentence("Command", " ".join(_without_folders(record.environment.get("command", ())))),
    }


def _study(record: ModelRecord) -> dict[str, str]:
    test, verdict = record.metrics["test"], record.shortcuts["verdict"]["sentences"][0] if record.shortcuts else ""
    return {
        "technology": f"An image classifier, {_architecture(record)}, with the classes {record.labels}.",
        "summary": f"Accuracy on {test['n']} test images {record.accuracy}. {verdict}".strip(),
        "intended_use": f"{NOTICE} For teaching how such classifiers succeed and fail.",
        "objective": f"To tell {record.labels} apart in frontal chest radiographs, and to find out what the answer is "
        "based on.",
        "design": "Retrospective, on images that others had collected.",
    }


def _data(record: ModelRecord) -> dict[str, str]:
    data = record.data
    unreadable = f"{data['unreadable']} files could not be read and were left out." if "unreadable" in data else ""
    return {
        "sources": _sentence("Folders", ", ".join(folder_names(record.training.get("roots", ())))),
        "eligibility": _sentence("All readable images of these folders, except those excluded", record.excluded),
        "preprocessing": _sentence("Settings", _plain(record.card.preprocessing.to_dict())),
        "exclusions": _sentence("Excluded before the split", record.excluded),
        "classes": f"The class of an image is the name of its folder, or what a label table says: {record.labels}.",
        "missing": unreadable,
        "reference": "The folder of an image, or its row in a label table. How its class was established is not known "
        "to this program.",
        "partitions": _partitions(record),
        "disjoint": disjoint_sentence(record.training),
    }


def _model(record: ModelRecord) -> dict[str, str]:
    card, training = record.card, record.training
    versions = ", ".join(f"{name} {version}" for name, version in record.environment.get("packages", {}).items())
    return {
        "model": f"{_architecture(record)}, {card.preprocessing.size} × {card.preprocessing.size} pixels, three equal "
        f"channels; pooled features, head {training.get('head_units') or 'of one layer'}, softmax over "
        f"{len(card.classes)} classes.",
        "software": _sentence("Versions", versions),
        "initialisation": {
            "imagenet": "Backbone from ImageNet weights; the head at random from the seed.",
            "shipped": "Backbone of the built-in classifier; the head at random from the seed.",
        }.get(training.get("start", ""), ""),
    }


def _architecture(record: ModelRecord) -> str:
    backbone = record.training.get("backbone", "mobilenetv2")
    return "MobileNetV2 (Sandler et al. 2018)" if backbone == "mobilenetv2" else backbone


def _training(record: ModelRecord) -> dict[str, str]:
    training = record.training
    ensembling = "None."
    if training.get("ema_momentum"):
        ensembling = f"None; the weights are a moving average, momentum {training['ema_momentum']}."
    return {
        "training": _training_settings(training),
        "selection": selection_sentence(training),
        "ensembling": ensembling,
    }


def _evaluation(record: ModelRecord) -> dict[str, str]:
    maps, robustness = "Grad-CAM for every class.", ""
    if record.shortcuts:
        if record.shortcuts["attention"]:
            maps += " Proportion inside the lungs: see the shortcut test."
        robustness = f"Shortcut test: {' '.join(record.shortcuts['verdict']['sentences'])}"
    external = record.card.metrics.get("external", {})
    return {
        "metric_names": "Accuracy; per class precision, recall, F1 and area under the ROC curve; expected calibration "
        "error and Brier score.",
        "uncertainty": f"{_sentence_of(interval_words(record.metrics['test']))} {record.repeats}".strip(),
        "robustness": robustness,
        "explainability": maps,
        "external": "; ".join(
            f"{source_label(name)}: {m['n']} images, accuracy {percent(m['accuracy'])}" for name, m in external.items()
        ),
    }


def _results(record: ModelRecord) -> dict[str, str]:
    test = record.metrics["test"]
    wrong = round((1 - test["accuracy"]) * test["n"])
    return {
        "flow": _flow(record),
        "performance": "; ".join(f"{side} {percent(m['accuracy'])} of {m['n']}" for side, m in record.metrics.items()),
        "accuracy": f"{record.accuracy} on the test images{_looks(record)}; per class in the tables.",
        "failures": record.worst
        or f"{wrong} of {test['n']} test images are wrong; no slice of the images is clearly weaker than the whole.",
    }


def _looks(record: ModelRecord) -> str:
    return f", which were looked at {looks_words(record.looks)}" if record.looks else ""


def _limits(record: ModelRecord) -> Iterator[str]:
    if not record.card.metrics.get("external"):
        yield "It was not tested on external data."
    if record.shortcuts is None:
        yield "The shortcut tests have not been run: whether it needs the lungs is unknown."
    if record.card.temperature == 1:
        yield "Its confidence was not calibrated."
    if "seen_by_start" in record.card.metrics:
        yield seen_by_start_sentence(record.card.metrics["seen_by_start"])
    if "leakage" in record.card.metrics:
        yield leakage_sentence(record.card.metrics["leakage"])
    yield "Patients are known only where a table, a DICOM header, a folder or a file name tells them."


def _partitions(record: ModelRecord) -> str:
    if not record.images:
        return ""
    kind, seed = record.training.get("split", ""), record.training.get("seed")
    drawn = "The data set's own split" if kind == "given" else f"{kind.capitalize()} split, seed {seed}"
    told = ", ".join(f"{side} {n}" for side, n in record.images.items())
    return f"{drawn}: {told} images. {_seen(record)}".strip()


def _seen(record: ModelRecord) -> str:
    """Say which images the starting weights were trained on, and what became of them; "" where none."""
    seen = record.data.get("seen_by_start")
    if not seen:
        return ""
    moved = ", ".join(f"{n} from {side}" for side, n in seen["moved"].items() if n)
    told = f"The starting weights were trained on {seen['images']} of the images"
    return f"{told}; {moved} were moved to training." if moved else f"{told}."


def _training_settings(training: Mapping[str, Any]) -> str:
    if "epochs" not in training:
        return ""
    keys = (
        "recipe",
        "train_from",
        "epochs",
        "batch_size",
        "learning_rate",
        "schedule",
        "early_stopping_patience",
        "class_weights",
        "source_weights",
    )
    settings = _plain({key: training[key] for key in keys if key in training})
    return f"One model: {settings}. Augmentation: {_plain(training.get('augmentation', {}))}."


def _flow(record: ModelRecord) -> str:
    if not record.images:
        return ""
    n, excluded = sum(record.images.values()), sum((record.data.get("excluded") or {}).values())
    return f"{n} images took part, {excluded} were excluded, {record.data.get('unreadable', 0)} were unreadable."


def _plain(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings.items())


def _sentence_of(words: str) -> str:
    return f"{words}." if words else ""


def _sentence(start: str, rest: str) -> str:
    return f"{start}: {rest}." if rest else ""


def _without_folders(command: Sequence[str]) -> list[str]:
    """Return the words of a command without the folders of the computer it ran on."""
    return [Path(word).name if Path(word).is_absolute() else word for word in command]
