"""How does a classifier do on the images of one hospital that it knows nothing of?

No training image is needed: their features travel in the gate, and what they look like in the card.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, NotRequired, TypedDict

import numpy as np
import pandas as pd

from cxr_core.classes import KNOWN_CLASSES, class_key, class_label, matched_classes
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.sampling import stratified_rows
from cxr_core.evaluation.confidence_intervals import Interval, share_interval
from cxr_core.evaluation.hospitals.site_statistics import (
    TwoSampleTest,
    compare_features,
    images_for_interval,
    threshold_for_misses,
)
from cxr_core.evaluation.hospitals.source_scores import Share
from cxr_core.evaluation.hospitals.training_look import LOOKS, Difference, compare_looks, quartiles
from cxr_core.evaluation.predictions import patient_or_file, prediction_groups
from cxr_core.imaging.image_properties import measure_image
from cxr_core.inference.batch_prediction import MAX_FILES, predict_batch
from cxr_core.inference.classifier import Classifier
from cxr_core.inference.image_sources import Source, path_sources
from cxr_core.inference.input_gate import Gate
from cxr_core.inference.selective_prediction import Answer
from cxr_core.inference.site_profile import SiteProfile
from cxr_core.system.arrays import BoolArray, FloatArray, IntArray
from cxr_core.system.progress import Progress
from cxr_core.system.text import percent

LEAST_IMAGES = 30
MISS_RATE = 0.1
# Of each side of the two-sample test: its work grows with their square.
_MOST_COMPARED = 500
# Of the site's patients: a fold of the classifier that tells the two apart must hold some of both.
_LEAST_COMPARED = 10
_CLEAR = 0.01


class SiteFiles(NamedTuple):
    """The images of a site.

    Attributes:
        sources: N files.
        labels: N classes of the classifier, None where nobody knows.
        patients: whose each is, as a label table tells; None where none does, and then the file's name may.
    """

    sources: list[Source]
    labels: list[str | None]
    patients: list[str | None]


class SiteImage(NamedTuple):
    """What is kept of one answered image: float32 (D,), its features as the gate compares them, (0,) without a gate;
    measures by name, and whether it was refused.
    """

    vector: FloatArray
    measures: dict[str, float]
    refused: bool


class SiteAnswers(NamedTuple):
    """What a classifier answers at a site.

    Attributes:
        rows: one per image that could be read: `file`, `true` (None where nobody knows), `group` (a number for each
            patient), `answer` and `reason` (None for an abstention and an answer), `refused` (by the gate, or as
            doubtful), and `p_<class>`.
        kept: of the same images.
        unreadable: number of files that could not be read.
    """

    rows: pd.DataFrame
    kept: list[SiteImage]
    unreadable: int


class SiteThreshold(TypedDict):
    """A threshold chosen for a site, among images that are not refused.

    Attributes:
        class_name: whose alarm it is.
        threshold: in [0, 1]; a probability of at least this is an alarm.
        miss_rate: at most this proportion of the class is missed, on average over new images of the site.
        images: number of labelled images of the class that chose it.
        false_alarms: on the other labelled images, which did not choose it.
    """

    class_name: str
    threshold: float
    miss_rate: float
    images: int
    false_alarms: Share


class LabelledScore(TypedDict):
    """What the labelled images of a site tell of one class; an abstention is no alarm.

    Attributes:
        class_name: whose alarm it is.
        sensitivity: on the images of the class.
        false_alarms: on the other images.
        more_for_sensitivity: further labelled images of the class that an interval of ±5 points takes.
        more_for_false_alarms: further labelled images of other classes, likewise.
        threshold: chosen for the site; None where there are too few images of the class or
            none of others.
    """

    class_name: str
    sensitivity: Share
    false_alarms: Share
    more_for_sensitivity: int
    more_for_false_alarms: int
    threshold: SiteThreshold | None


class SiteReport(TypedDict):
    """How a classifier does at a site.

    Attributes:
        model: name of the classifier.
        images: number of images that could be read.
        unreadable: number of files that could not.
        coverage: proportion that gets an answer.
        answers: {class or "no answer": number of images}.
        reasons: {sentence why no answer is given: number of images}, most frequent first.
        difference: from the training images, to the network; None where the classifier has no gate, or where fewer
            than ten patients could be compared.
        looks: how the images look beside the training images; empty where the card does not tell.
        labelled: what labels tell; None without any.
        sentences: all that in words.
    """

    model: str
    images: int
    unreadable: int
    coverage: float
    answers: dict[str, int]
    reasons: dict[str, int]
    difference: TwoSampleTest | None
    looks: list[Difference]
    labelled: LabelledScore | None
    sentences: NotRequired[list[str]]


def site_images(classifier: Classifier, folder: str | Path) -> SiteFiles:
    """List the images of a site, with patients, and with labels where a folder or a table tells some that the
    classifier knows.

    Args:
        classifier: to be tried.
        folder: of a data set, or of images without labels; or a ZIP of them.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"There is no folder {folder}.")
    try:
        return table_images(classifier, scan_dataset(folder).table)
    except ValueError:
        # No class folders and no table: images without labels.
        sources = path_sources(folder)
        return SiteFiles(sources, [None] * len(sources), [None] * len(sources))


def table_images(classifier: Classifier, table: pd.DataFrame) -> SiteFiles:
    """Return what `site_images` does, of a data set table; of more than 2,000 images, as many are drawn."""
    table = table.iloc[stratified_rows(table["class_name"], MAX_FILES, np.random.default_rng(0))]
    known = matched_classes(table["class_name"], classifier.classes)
    sources = [Source(file, Path(path).read_bytes) for file, path in zip(table["file"], table["path"], strict=True)]
    patients = [None if pd.isna(patient) else str(patient) for patient in table["patient"]]
    return SiteFiles(sources, [known.get(name) for name in table["class_name"]], patients)


def try_site(
    classifier: Classifier,
    sources: Sequence[Source],
    labels: Sequence[str | None],
    patients: Sequence[str | None],
    *,
    class_name: str | None = None,
    miss_rate: float = MISS_RATE,
    seed: int = 0,
    progress: Progress | None = None,
) -> SiteReport:
    """Try a classifier on the images of a site; see `answer_site` and `site_report`."""
    _check(classifier, class_name, miss_rate)
    answers = answer_site(classifier, sources, labels, patients, progress=progress)
    return site_report(classifier, answers, class_name=class_name, miss_rate=miss_rate, seed=seed)


def answer_site(
    classifier: Classifier,
    sources: Sequence[Source],
    labels: Sequence[str | None],
    patients: Sequence[str | None],
    *,
    progress: Progress | None = None,
) -> SiteAnswers:
    """Answer the images of a site.

    Args:
        classifier: to be tried.
        sources: N files, 30 or more of which can be read.
        labels, patients: N each, as `SiteFiles` tells.
        progress: called after each file.

    Raises:
        ValueError: too few images.
    """
    if len(sources) < LEAST_IMAGES:
        raise ValueError(_too_few(len(sources)))
    items = predict_batch(classifier, sources, keep=partial(_keep, classifier.gate), progress=progress)
    rows, kept = [], []
    for item, label, patient in zip(items, labels, patients, strict=True):
        if item.kept is not None:
            kept.append(item.kept)
            shares = {f"p_{name}": share for name, share in item.row["probabilities"].items()}
            reason = _first_sentence(item.row["reasons"][0]) if item.row["reasons"] else None
            told: dict[str, object] = {
                "file": item.source.name,
                "true": label,
                "patient": patient or patient_or_file(item.source.name),
                "answer": item.row["label"],
                "reason": reason,
            }
            told["refused"] = item.kept.refused
            rows.append(told | shares)
    if len(rows) < LEAST_IMAGES:
        raise ValueError(_too_few(len(rows)))
    table = pd.DataFrame(rows).astype({"true": object, "answer": object, "reason": object})
    table["group"] = pd.factorize(table.pop("patient"))[0]
    return SiteAnswers(table, kept, len(items) - len(rows))


def site_report(
    classifier: Classifier,
    answers: SiteAnswers,
    *,
    class_name: str | None = None,
    miss_rate: float = MISS_RATE,
    seed: int = 0,
) -> SiteReport:
    """Say how a classifier does at a site.

    Args:
        classifier: that answered.
        answers: as `answer_site` returns them.
        class_name: whose alarm is judged; by default COVID-19 where the classifier knows it, else its last class.
        miss_rate: in (0, 1), the proportion of that class that the site's threshold may miss.
        seed: of the two-sample test.

    Raises:
        ValueError: an unknown class, or a rate outside (0, 1).
    """
    _check(classifier, class_name, miss_rate)
    rows, kept = answers.rows, answers.kept
    counts = rows["answer"].fillna("no answer").value_counts()
    report: SiteReport = {
        "model": classifier.card.name,
        "images": len(rows),
        "unreadable": answers.unreadable,
        "coverage": float(rows["answer"].notna().mean()),
        "answers": {str(name): int(n) for name, n in counts.items()},
        "reasons": {str(reason): int(n) for reason, n in rows["reason"].value_counts().items()},
        "difference": _difference(classifier, kept, rows, np.random.default_rng(seed)),
        "looks": _looks(classifier, kept),
        "labelled": _labelled(rows, class_name or alarm_class(classifier.classes), miss_rate),
    }
    return {**report, "sentences": site_sentences(report)}


def site_sentences(report: SiteReport) -> list[str]:
    """Say in words what a site's report holds."""
    unread = f" {report['unreadable']:,} more files could not be read." if report["unreadable"] else ""
    answered = ", ".join(f"{class_label(name)} {n:,}" for name, n in report["answers"].items() if name != "no answer")
    sentences = [f"{report['images']:,} images.{unread}"]
    if report["difference"]:
        sentences.append(_difference_sentence(report["difference"]))
    told = [row["words"] for row in report["looks"] if row["words"]]
    if told:
        sentences.append(f"Beside the training images these are {', '.join(told)}.")
    elif report["looks"]:
        names = ", ".join(name for name, _, _ in LOOKS.values())
        sentences.append(f"In {names} they are like the training images.")
    sentences.append(f"{percent(report['coverage'])} get an answer{f': {answered}' if answered else ''}.")
    score = report["labelled"]
    if score is None:
        return [*sentences, "Without labels nobody knows how often it is right here."]
    return sentences + _label_sentences(score)


def _too_few(n: int) -> str:
    return (
        f"A site needs {LEAST_IMAGES} images or more that can be read; received {n}. Add further images of this site."
    )


def _check(classifier: Classifier, class_name: str | None, miss_rate: float) -> None:
    if class_name is not None and class_name not in classifier.classes:
        raise ValueError(f"The class must be one of {', '.join(classifier.classes)}; received {class_name!r}.")
    if not 0 < miss_rate < 1:
        raise ValueError(f"The proportion that may be missed must lie between 0 and 1; received {miss_rate}.")


def alarm_class(classes: Sequence[str]) -> str:
    """Return the class whose alarm is judged where nobody names one: COVID-19, else the last."""
    return next((name for name in classes if class_key(name) == list(KNOWN_CLASSES)[1]), classes[-1])


def threshold_profile(report: SiteReport, name: str) -> SiteProfile:
    """Return the threshold of a site's report as a profile of this name, to be saved.

    Raises:
        ValueError: the report has no threshold.
    """
    chosen = report["labelled"]["threshold"] if report["labelled"] else None
    if chosen is None:
        raise ValueError("There is no threshold to save: it takes more labelled images of the class, and of others.")
    return SiteProfile(name, chosen["class_name"], chosen["threshold"], chosen["miss_rate"], chosen["images"])


def _first_sentence(reason: str) -> str:
    """Return a reason without the figures of one image, which stand in its second sentence."""
    return f"{reason.rstrip('.').split('. ')[0]}."


def _keep(gate: Gate | None, _number: int, answer: Answer) -> SiteImage:
    vector = gate.vectors(answer.prediction.features[None])[0] if gate else np.empty(0, np.float32)
    pixels = answer.prediction.image
    measures = measure_image(pixels, with_text=False)
    refused = bool(answer.prediction.doubts or (answer.verdict and answer.verdict.reasons))
    return SiteImage(vector, measures | {"side": float(max(pixels.shape[:2]))}, refused)


def _difference(
    classifier: Classifier, kept: Sequence[SiteImage], rows: pd.DataFrame, rng: np.random.Generator
) -> TwoSampleTest | None:
    """Compare with the training images in the gate: with as many of each class as the site has, if all have a label.

    One image per patient, drawn, on both sides: the test takes images for independent.
    """
    gate = classifier.gate
    if gate is None:
        return None
    chosen = _one_of_each(rows["group"].to_numpy(), rng)[:_MOST_COMPARED]
    known = _one_of_each(prediction_groups(pd.DataFrame({"file": gate.files})), rng)
    if rows["true"].notna().all():
        shares = rows["true"].iloc[chosen].value_counts(normalize=True)
        names = np.asarray(gate.classes, object)[gate.known_class[known]]
        known = np.concatenate(
            [known[names == name][: round(_MOST_COMPARED * share)] for name, share in shares.items()]
        )
    known = known[:_MOST_COMPARED]
    if len(known) < LEAST_IMAGES or len(chosen) < _LEAST_COMPARED:
        return None
    site = np.stack([kept[i].vector for i in chosen])
    return compare_features(site, gate.known_vectors[known], rng=rng)


def _one_of_each(groups: IntArray, rng: np.random.Generator) -> IntArray:
    """Return the positions of one row of each group, drawn and in a drawn order."""
    order = rng.permutation(len(groups))
    return order[np.sort(np.unique(groups[order], return_index=True)[1])]


def _looks(classifier: Classifier, kept: Sequence[SiteImage]) -> list[Difference]:
    training = classifier.card.metrics.get("look")
    return compare_looks(quartiles(pd.DataFrame([image.measures for image in kept])), training) if training else []


def _labelled(rows: pd.DataFrame, class_name: str, miss_rate: float) -> LabelledScore | None:
    known = rows[rows["true"].notna()].reset_index(drop=True)
    is_class = (known["true"] == class_name).to_numpy()
    if known.empty:
        return None
    groups = known["group"].to_numpy()
    alarm = (known["answer"] == class_name).to_numpy()
    sensitivity = _share(alarm[is_class], groups[is_class])
    false_alarms = _share(alarm[~is_class], groups[~is_class])
    scores = known[f"p_{class_name}"].to_numpy()
    # What is refused raises no alarm, whatever the threshold: a person looks at it.
    taken = ~known["refused"].to_numpy(bool)
    threshold = threshold_for_misses(scores[is_class & taken], miss_rate)
    chosen: SiteThreshold | None = None
    if threshold is not None and (~is_class & taken).any():
        others = ~is_class & taken
        chosen = {
            "class_name": class_name, "threshold": threshold, "miss_rate": miss_rate,
            "images": int((is_class & taken).sum()),
            "false_alarms": _share((scores >= threshold)[others], groups[others]),
        }  # fmt: skip
    return {
        "class_name": class_name,
        "sensitivity": sensitivity,
        "false_alarms": false_alarms,
        "more_for_sensitivity": _more(sensitivity),
        "more_for_false_alarms": _more(false_alarms),
        "threshold": chosen,
    }


def _share(flags: BoolArray, groups: IntArray) -> Share:
    if not len(flags):
        return {"share": None, "ci95": None, "images": 0}
    ends: Interval | None = share_interval(flags, groups)
    return {"share": float(flags.mean()), "ci95": ends, "images": len(flags)}


def _more(share: Share) -> int:
    """Return how many further images ±5 points take; of an unknown proportion as many as the worst one, a half."""
    value = 0.5 if share["share"] is None else share["share"]
    return max(0, images_for_interval(value) - share["images"])


def _difference_sentence(found: TwoSampleTest) -> str:
    told = f"a linear classifier tells them apart with AUC {found['auc']:.2f} (0.5 not at all, 1 entirely), p = "
    told += f"{found['p_value']:.3f}"
    if found["p_value"] > _CLEAR:
        return f"To the network they cannot be told from the training images: {told}."
    return f"To the network they differ from the training images: {told}."


def _label_sentences(score: LabelledScore) -> list[str]:
    label = class_label(score["class_name"])
    found, wrong = score["sensitivity"], score["false_alarms"]
    sentences = []
    if found["images"]:
        sentences.append(f"Of {label} it finds {_words(found)}.")
    if wrong["images"]:
        sentences.append(f"Of the others it wrongly calls {label} {_words(wrong)}.")
    sentences.append(
        f"For an interval of ±5 points label {score['more_for_sensitivity']:,} more images of {label} and "
        f"{score['more_for_false_alarms']:,} more of others."
    )
    chosen = score["threshold"]
    if chosen is None:
        sentences.append(f"A threshold of this site takes more labelled images: of {label}, and of others.")
    else:
        sentences.append(
            f"A threshold of {chosen['threshold']:.3f} misses at most {percent(chosen['miss_rate'], 0)} of {label} "
            f"here on average, and calls {_words(chosen['false_alarms'])} of the others {label}."
        )
    return sentences


def _words(share: Share) -> str:
    ends = share["ci95"]
    between = f"95 %: {percent(ends[0])} to {percent(ends[1])}, " if ends else ""
    return f"{percent(share['share'] or 0.0)} ({between}{share['images']:,} images)"
