"""What do the article's sections on the model say, and what came out here? Sections 7 to 10."""

from pathlib import Path

import cv2
import numpy as np

from cxr_core.classes import class_colours, class_label
from cxr_core.evaluation.metrics import class_interval, figure_text
from cxr_core.evaluation.predictions import sample_predictions
from cxr_core.explain.overlay import overlay_map, share_inside
from cxr_core.imaging.lung_segmentation import look_at_chest
from cxr_core.imaging.reader import open_image, read_image
from cxr_core.inference.classifier import load_classifier
from cxr_core.reporting.reproduction import claims
from cxr_core.reporting.reproduction.charts import Line, line_chart
from cxr_core.reporting.reproduction.images import hidden_tile, jpeg, tile
from cxr_core.reporting.reproduction.network_size import count_parameters
from cxr_core.reporting.reproduction.page import Picture, Section, Table
from cxr_core.reporting.reproduction.record import RunRecord
from cxr_core.reporting.reproduction.texts import (
    NOTHING,
    counted,
    percent,
    points,
    signed,
    verdict,
    whole_percent,
)
from cxr_core.runs.diagnosis import LARGE_GAP
from cxr_core.runs.overview import kept_epoch
from cxr_core.system.text import listed

_TRAINING, _VALIDATION = "#0072B2", "#D55E00"
_AVERAGES = {"micro": ("Micro average", "#CC79A7", "2 4"), "macro": ("Macro average", "#777777", "7 4")}
# Three stand beside each other.
_PHOTO = 330


def model_sections(record: RunRecord) -> tuple[Section, ...]:
    """Return sections 7 to 10."""
    return _network(record), _evaluation(record), _samples(record), _explanation(record)


def main_figures(record: RunRecord) -> Table:
    """Return the figures that the article claims, beside ours."""
    ends = record.test["ci95"]["accuracy"] if "ci95" in record.test else None
    accuracy = record.test["accuracy"]
    has_claims = bool(record.claims)
    rows = [
        (
            "Accuracy on the test images",
            f"{100 * claims.ACCURACY:.2f} %, in its conclusion {100 * claims.ACCURACY_IN_CONCLUSION:.2f} %"
            if has_claims
            else NOTHING,
            percent(accuracy, ends),
            points(accuracy, claims.ACCURACY if has_claims else None),
        )
    ]
    for name in record.classes:
        recall, claim = record.test["per_class"][name]["recall"], record.claims.get(name)
        rows.append(
            (
                f"Recall of {class_label(name)}",
                f"{100 * claim.recall:.0f} %" if claim else NOTHING,
                percent(recall, class_interval(record.test, name, "recall")),
                points(recall, claim.recall if claim else None),
            )
        )
    for name in record.classes:
        value, claim = record.test["per_class"][name]["auc"], record.claims.get(name)
        differs = NOTHING if value is None or not claim else signed(value - claim.auc, 3)
        ends = class_interval(record.test, name, "auc")
        rows.append(
            (f"AUC of {class_label(name)}", f"{claim.auc:.2f}" if claim else NOTHING, figure_text(value, ends), differs)
        )
    rows += [
        (f"AUC, {words.lower()}", NOTHING, figure_text(record.curves[name]["auc"], None), NOTHING)
        for name, (words, *_) in _AVERAGES.items()
        if name in record.curves
    ]
    return Table(("figure", "article", "here (95 % interval)", "difference"), tuple(rows))


def _network(record: RunRecord) -> Section:
    setting, parameters = record.setting, count_parameters(record.run.path / "model.keras")
    trained = {"all": "all layers", "head": "the head alone"}.get(
        setting["train_from"], f"from {setting['train_from']} on"
    )
    momentum = setting.get("batch_norm_momentum")
    rows = (
        ("Backbone", "MobileNetV2, ImageNet weights", f"{setting['backbone']}, {setting['start']} weights"),
        ("Dense layers of the head", "512, 128, 64, 32", ", ".join(map(str, setting["head_units"])) or "none"),
        ("Dropout", "0.7, 0.5, 0.3, 0.3", ", ".join(map(str, setting["head_dropouts"])) or "none"),
        ("Parameters", f"{claims.PARAMETERS:,}", f"{parameters:,}"),
        ("Trained", "all layers", trained),
        ("Batch-norm momentum", "0.999 (Keras's default)", f"{0.999 if momentum is None else momentum:g}"),
        ("Learning rate of Adam", "0.001 (Keras's default)", f"{setting['learning_rate']:g}"),
        ("Batch size", f"{claims.BATCH_SIZE}", f"{setting['batch_size']}"),
        ("Epochs", f"{claims.EPOCHS}", f"{len(record.epochs)}"),
    )
    if parameters == claims.PARAMETERS:
        differs = "The network is the article's, to the last parameter."
    else:
        differs = f"The network has {parameters:,} parameters; the article's listing builds {claims.PARAMETERS:,}."
    return Section(
        "7. Model building",
        "MobileNetV2 with a head of four dense layers, trained whole; the text speaks of a trained head, and gives no "
        "number of parameters."
        if record.claims
        else "",
        differs,
        (
            Table(
                ("setting", "article", "here"),
                tuple((what, claimed if record.claims else NOTHING, here) for what, claimed, here in rows),
            ),
        ),
    )


def _evaluation(record: RunRecord) -> Section:
    metrics = record.test
    ends = metrics["ci95"]["accuracy"] if "ci95" in metrics else None
    differs = [verdict(metrics["accuracy"], ends, claims.ACCURACY)] if record.claims else []
    differs += [_history_sentence(record)]
    return Section(
        "8. Model evaluation",
        f"Over 90 % after 20 epochs; accuracy {100 * claims.ACCURACY:.2f} % (in the conclusion "
        f"{100 * claims.ACCURACY_IN_CONCLUSION:.2f} %); COVID-19 is found best, some Viral images are called Normal; "
        "AUC 1.00, 1.00 and 0.99."
        if record.claims
        else "",
        " ".join(differs),
        (_confusion(record), _report(record)),
        (*_history_charts(record), _roc_chart(record)),
    )


def _history_sentence(record: RunRecord) -> str:
    """Say where the curves went: the kept epoch, how long validation lagged, and the claim about 20 epochs."""
    epochs = record.epochs
    told = [f"Epoch {kept_epoch(epochs)} of {len(epochs)} was kept."]
    lagging = epochs.loc[epochs["accuracy"] - epochs["val_accuracy"] > LARGE_GAP, "epoch"]
    if len(lagging):
        lags = record.setting["train_from"] != "head" and record.setting.get("batch_norm_momentum") is None
        told.append(
            f"In {counted(len(lagging), 'epoch')}, the last of them epoch {lagging.iloc[-1]}, validation accuracy lay "
            f"more than {100 * LARGE_GAP:.0f} points below that of training"
            f"{': the batch-norm statistics lag behind the weights' if lags else ''}."
        )
    later = epochs.loc[epochs["epoch"] > claims.STABLE_AFTER, "val_accuracy"]
    if record.claims and len(later):
        below = int((later <= claims.STABLE_ABOVE).sum())
        but = f" but for {counted(below, 'epoch')}" if below else ""
        told.append(
            f"After epoch {claims.STABLE_AFTER} validation accuracy lies between {percent(later.min())} and "
            f"{percent(later.max())}, and stays above 90 %{but}."
        )
    return " ".join(told)


def _history_charts(record: RunRecord) -> tuple[Picture, ...]:
    epochs = record.epochs
    # A chart of one epoch needs a width, too.
    x_range = (0.0, float(max(2, epochs["epoch"].max())))
    kept = kept_epoch(epochs)
    mark = None if kept is None else (float(kept), f"kept: {kept}")
    charts = []
    for name, title, highest in (
        ("accuracy", "Accuracy", 1.0),
        ("loss", "Loss", float(np.nanmax(epochs[["loss", "val_loss"]].to_numpy())) * 1.05),
    ):
        lines = [
            Line("Training", epochs["epoch"], epochs[name], _TRAINING),
            Line("Validation", epochs["epoch"], epochs[f"val_{name}"], _VALIDATION, "6 3"),
        ]
        chart = line_chart(
            f"{title} per epoch",
            lines,
            x_title="Epoch",
            y_title=title if name == "accuracy" else "Cross-entropy",
            x_range=x_range,
            y_range=(0.0, highest),
            mark=mark,
        )
        charts.append(Picture(f"{name}.svg", f"{title} of training and validation", chart.encode(), True))
    return tuple(charts)


def _roc_chart(record: RunRecord) -> Picture:
    colours = class_colours(list(record.classes))
    lines = []
    for name, curve in record.curves.items():
        label, colour, dash = _AVERAGES.get(name) or (class_label(name), colours[name], "")
        lines.append(Line(f"{label}, AUC {curve['auc']:.3f}", curve["fpr"], curve["tpr"], colour, dash))
    chart = line_chart(
        "ROC curves on the test images",
        lines,
        x_title="False-positive rate",
        y_title="True-positive rate",
        x_range=(0.0, 1.0),
        y_range=(0.0, 1.0),
    )
    return Picture("roc.svg", "ROC curve of each class, with micro and macro average", chart.encode(), True)


def _confusion(record: RunRecord) -> Table:
    rows = [
        (f"{label} (true)", *(f"{n:,}" for n in counts))
        for label, counts in zip(record.labels, record.test["confusion_matrix"], strict=True)
    ]
    return Table(("confusion matrix", *(f"called {label}" for label in record.labels)), tuple(rows))


def _report(record: RunRecord) -> Table:
    rows = []
    for name, label in zip(record.classes, record.labels, strict=True):
        row = record.test["per_class"][name]
        figures = (percent(row[key], class_interval(record.test, name, key)) for key in ("precision", "recall", "f1"))
        rows.append((label, *figures, f"{row['support']:,}"))
    return Table(("class", "precision", "recall", "F1", "images"), tuple(rows))


def _samples(record: RunRecord) -> Section:
    rows = sample_predictions(record.predictions, claims.SAMPLE_PREDICTIONS, record.rng())
    pictures = []
    for number, row in enumerate(rows.to_dict("records"), start=1):
        hidden = row["true"] in record.stand_ins
        image = hidden_tile() if hidden else tile(read_image(row["path"]))
        mark = "right" if row["right"] else "wrong"
        said = (
            f"{class_label(row['predicted'])} ({class_label(row['true'])}), {mark}, {whole_percent(row['confidence'])}"
        )
        pictures.append(Picture(f"prediction-{number:02}.jpg", said, jpeg(image, 200), True))
    right, accuracy = int(rows["right"].sum()), record.test["accuracy"]
    chance = accuracy ** len(rows)
    return Section(
        "9. Sample prediction",
        f"Of {claims.SAMPLE_PREDICTIONS} random test images all are predicted correctly." if record.claims else "",
        f"Of {len(rows)} test images drawn with the run's seed {right} are right; at an accuracy of "
        f"{percent(accuracy)} {len(rows)} draws are all right in {whole_percent(chance)} of cases, so that this shows "
        "little. Below each image stands what it is called and, in brackets, what it is.",
        pictures=tuple(pictures),
    )


def _explanation(record: RunRecord) -> Section:
    name = record.known_class("covid")
    row = record.shown(name, "test").iloc[0]
    opened, classifier = open_image(Path(row["path"]).read_bytes()), load_classifier(record.run.path)
    image = opened.pixels
    lungs = look_at_chest(image).lungs
    pictures, shares = [], []
    # The article's layer first, where the network has it.
    layers = sorted(record.card.map_layers, key=lambda layer: layer != claims.MAP_LAYER)
    for layer in layers:
        prediction = classifier.predict_opened(opened, layer)
        map_ = classifier.map_on_image(prediction.maps[record.classes.index(name)], image.shape, layer)
        overlay = cv2.cvtColor(overlay_map(image, map_), cv2.COLOR_RGB2BGR)
        where = "last convolution" if layer == record.card.map_layers[0] else "the article's layer"
        pictures.append(Picture(f"grad-cam-{layer}.jpg", f"From {layer} ({where})", jpeg(overlay, _PHOTO), True))
        inside = share_inside(map_, lungs.mask) if lungs.found else None
        if inside is not None:
            shares.append(f"{whole_percent(inside)} from {layer}")
    said = f"It is called {class_label(prediction.label)} with {whole_percent(prediction.probabilities.max())}."
    filled = whole_percent(float(lungs.mask.mean()))
    measured = (
        f" Of the map's weight {listed(shares)} lies inside the lungs, which fill {filled} of the image."
        if shares
        else " No lungs were found in it, so it cannot be said how much of the map lies inside them."
    )
    origin = (
        ", from another collection" if name in record.stand_ins else ", the first of its class among the test images"
    )
    article = (
        " The article takes the gradient behind the softmax, ours is that of the logits; and two convolutions follow "
        f"the layer that it calls the last, {claims.MAP_LAYER}."
        if claims.MAP_LAYER in layers
        else ""
    )
    return Section(
        "10. Model explanation",
        "For one COVID-19 image the map “accurately highlighted” opacities." if record.claims else "",
        f"{said}{measured}{article}",
        pictures=(
            Picture("grad-cam-image.jpg", f"{class_label(name)}: {row['file']}{origin}", jpeg(image, _PHOTO), True),
            *pictures,
        ),
    )
