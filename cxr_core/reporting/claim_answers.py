"""What a run knows about each item of the CLAIM checklist."""

from pathlib import Path

from cxr_core.classes import class_label
from cxr_core.config import NOTICE
from cxr_core.splits.leakage import leakage_sentence
from cxr_core.splits.split import SPLIT_KINDS


def answers(card, metrics, environment, facts):
    """Return what is known, a dict of the names in `claim` to sentences; nothing is invented."""
    training, data = card.training, card.training.get("data", {})
    counts = {side: sum(of_class.values()) for side, of_class in data.get("images", {}).items()}
    test = metrics["test"]
    ends = test["ci95"]["accuracy"]
    accuracy = f"{test['accuracy']:.1%}" + (f" (95 %: {ends[0]:.1%} to {ends[1]:.1%})" if ends else "")
    excluded = ", ".join(f"{n} {reason}" for reason, n in (data.get("excluded") or {}).items())
    external = card.metrics.get("external", {})
    lab = facts["lab"]
    labels = ", ".join(class_label(name) for name in card.classes)
    lab_words = f"Shortcut lab: {' '.join(lab['sentences'])}" if lab else ""
    return {
        "technology": f"An image classifier: MobileNetV2, a convolutional network, into {labels}.",
        "summary": f"Accuracy on {test['n']} test images {accuracy}. {lab['sentences'][0] if lab else ''}".strip(),
        "intended_use": f"{NOTICE} For teaching how such classifiers succeed and fail.",
        "objective": f"To tell {labels} apart in frontal chest radiographs, and to find out what the answer rests on.",
        "design": "Retrospective: images that others had collected.",
        "sources": _sentence("Folders", ", ".join(training.get("roots", ()))),
        "eligibility": _sentence(
            "All readable images of these folders took part, less those left out by decision",
            excluded or ("none" if data else ""),
        ),
        "preprocessing": _sentence("Settings", _plain(card.preprocessing.to_dict())),
        "exclusions": _sentence("Left out before the split", excluded or ("none" if data else "")),
        "classes": f"The class of an image is the name of its folder: {labels}.",
        "missing": f"{data['unreadable']} files could not be read and were left out." if "unreadable" in data else "",
        "reference": "The folder an image came in. How its class was established is not known to this program.",
        "partitions": _partitions(training, counts),
        "disjoint": SPLIT_KINDS.get(training.get("split"), ""),
        "model": f"MobileNetV2 (Sandler et al. 2018), {card.preprocessing.size} × {card.preprocessing.size} pixels, "
        f"three equal channels; pooled features, head {training.get('head_units') or 'of one layer'}, softmax over "
        f"{len(card.classes)} classes.",
        "software": _sentence("Versions", ", ".join(f"{n} {v}" for n, v in environment.get("packages", {}).items())),
        "initialisation": {
            "imagenet": "Backbone from ImageNet weights; the head at random from the seed.",
            "shipped": "Backbone from the shipped classifier; the head at random from the seed.",
        }.get(training.get("start"), ""),
        "training": _training(training),
        "selection": "The epoch of lowest validation loss."
        + (" In this split the test images were the validation images." if training.get("split") == "article" else ""),
        "ensembling": "None."
        if not training.get("ema_momentum")
        else f"None; the weights are a moving average, momentum {training['ema_momentum']}.",
        "metric_names": "Accuracy; per class precision, recall, F1 and area under the ROC curve; expected calibration "
        "error and Brier score.",
        "uncertainty": "95 % percentile intervals from 2,000 bootstrap resamples of whole patients or groups of "
        f"copies; exact binomial ones where all or none are right. {facts['repeats']}".strip(),
        "robustness": lab_words,
        "explainability": "Grad-CAM for every class."
        + (" Share inside the lungs, weight shuffling and deletion curves: see the shortcut lab." if lab else ""),
        "external": "; ".join(f"{name}: {m['n']} images, accuracy {m['accuracy']:.1%}" for name, m in external.items()),
        "flow": _flow(data, counts),
        "performance": "; ".join(f"{side} {m['accuracy']:.1%} of {m['n']}" for side, m in metrics.items()),
        "accuracy": f"{accuracy} on the test split; per class in the tables.",
        "failures": facts["worst"]
        or f"{round((1 - test['accuracy']) * test['n'])} of {test['n']} test images are wrong; "
        "no slice of files is clearly weaker than the whole.",
        "limits": " ".join(_limits(card, external, lab)),
        "implications": f"None for practice. {NOTICE}",
        "protocol": _sentence("Command", " ".join(_nameless(environment.get("command", ())))),
    }


def _limits(card, external, lab):
    if not external:
        yield "It was not tested on images from elsewhere."
    if lab is None:
        yield "The shortcut lab was not opened for it: whether it needs the lungs is unknown."
    if card.temperature == 1:
        yield "Its confidence was not calibrated."
    if "leakage" in card.metrics:
        yield leakage_sentence(card.metrics["leakage"])
    yield "Patients are known only where file names or a table tell them."


def _partitions(training, counts):
    if not counts:
        return ""
    kind = training.get("split", "")
    told = ", ".join(f"{side} {n}" for side, n in counts.items())
    return f"{kind.capitalize()} split, seed {training.get('seed')}: {told} images."


def _training(training):
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
    )
    settings = ", ".join(f"{key.replace('_', ' ')} {training[key]}" for key in keys if key in training)
    return f"One model: {settings}. Augmentation: {_plain(training.get('augmentation', {}))}."


def _flow(data, counts):
    if not counts:
        return ""
    out = sum((data.get("excluded") or {}).values())
    return f"{sum(counts.values())} images took part, {out} were left out, {data.get('unreadable', 0)} were unreadable."


def _plain(settings):
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings.items())


def _sentence(start, rest):
    return f"{start}: {rest}." if rest else ""


def _nameless(command):
    """Return a command's words without this machine's folders."""
    return [Path(word).name if Path(word).is_absolute() else word for word in command]
