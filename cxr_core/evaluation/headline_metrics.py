"""Which few numbers sum up a classifier?"""

from dataclasses import dataclass
from typing import Any, TypedDict

from cxr_core.data.sources import source_label
from cxr_core.evaluation.confidence_intervals import Interval
from cxr_core.evaluation.metrics import Metrics, class_interval
from cxr_core.inference.model_card import Card
from cxr_core.system.text import percent


@dataclass(frozen=True)
class HeadlineMetric:
    """One of the few numbers that sum up a classifier.

    Attributes:
        label: what it is, such as "Accuracy".
        where: on which images it was measured.
        value: in [0, 1].
        n: number of images.
        explanation: one or two sentences.
        interval: its 95 % interval (low, high), or None where none was computed.
        may_abstain: True where images that it is not sure of count as unanswered; otherwise each gets its likeliest
            class.
    """

    label: str
    where: str
    value: float
    n: int
    explanation: str
    interval: tuple[float, float] | None = None
    may_abstain: bool = False


class FigureWords(TypedDict):
    """A headline metric as a report shows it; `value` is a text with its interval."""

    label: str
    value: str
    n: int
    explanation: str


def card_figures(card: Card) -> list[HeadlineMetric]:
    """Return the metrics that sum up a classifier: on its own test set first, then on external data.

    Args:
        card: with metrics under "test" and, where measured, "external".

    Returns:
        Empty before anything was measured. On a data set of healthy people alone the metric is the proportion
        classified as COVID-19, on one of COVID-19 alone the recall; where the classifier may abstain, "not sure"
        counts as neither.
    """
    test: Metrics | None = card.metrics.get("test")
    if not test:
        return []
    own = _own_explanation(card)
    accuracy = test["ci95"]["accuracy"] if "ci95" in test else None
    figures = [HeadlineMetric("Accuracy", "own test split", test["accuracy"], test["n"], own, _pair(accuracy))]
    covid = test["per_class"].get("covid")
    if covid and covid["recall"] is not None:
        ends = _pair(class_interval(test, "covid", "recall"))
        figures.append(
            HeadlineMetric("COVID-19 recall", "own test split", covid["recall"], covid["support"], own, ends)
        )
    return figures + [_external_figure(name, metrics) for name, metrics in card.metrics.get("external", {}).items()]


def false_alarm_sentence(card: Card) -> str | None:
    """Say how many healthy people of other collections a classifier called COVID-19, the worst first; None if unknown.

    Where the classifier may abstain, "not sure" is no false alarm.
    """
    external: dict[str, Metrics] = card.metrics.get("external", {})
    rates = []
    for name, metrics in external.items():
        healthy = metrics["per_class"].get("normal")
        if healthy and healthy["support"] and "covid" in metrics["classes"]:
            rates.append((_share_answered(metrics, "normal", "covid")[0], name, healthy["support"]))
    if not rates:
        return None
    told = [f"{percent(share)} ({source_label(name)}, {n} people)" for share, name, n in sorted(rates, reverse=True)]
    return f"Of healthy people in images from elsewhere, it called COVID-19: {', '.join(told)}."


def calibration_sentence(card: Card) -> str | None:
    """Say how far a classifier's confidence is from its accuracy on its own test set; None where that is unknown."""
    error = card.metrics.get("test", {}).get("ece")
    if error is None:
        return None
    return (
        f"Confidence and accuracy differ by {100 * error:.1f} percentage points on average "
        "(expected calibration error, own test set)."
    )


def _own_explanation(card: Card) -> str:
    """Say what the own test images were used for besides the test."""
    seen = card.metrics.get("seen_by_start")
    if seen:
        told = f"Measured on its own test images; its starting weights were trained on {seen['images']} of them"
    else:
        told = "Measured on its own test images, which training did not use"
    if card.training.get("split") == "article":
        return f"{told}; they also chose the best epoch, so the metric is optimistic."
    return f"{told}; they did not choose the best epoch."


def external_title(name: str, metrics: Metrics) -> str:
    """Return the title of a data set's classification report, with what is known of it and training."""
    title, note = f"External: {source_label(name)}", _training_note(metrics)
    return f"{title} ({note})" if note else title


def figure_words(figure: HeadlineMetric) -> FigureWords:
    """Return a headline metric as a report shows it."""
    return {
        "label": f"{figure.label}, {figure.where}",
        "value": value_text(figure),
        "n": figure.n,
        "explanation": figure.explanation,
    }


def value_text(figure: HeadlineMetric) -> str:
    """Write the value of a headline metric in per cent, with its interval where it has one."""
    if figure.interval is None:
        return percent(figure.value)
    low, high = figure.interval
    return f"{percent(figure.value)} ({percent(low)} to {percent(high)})"


def _training_note(metrics: Metrics) -> str:
    """Say how many images of a data set were trained on; "" where nobody knows."""
    trained_on: Any = metrics.get("trained_on")
    if trained_on is None:
        return ""
    n = trained_on["images"]
    return f"trained on {n} of these {metrics['n']}" if n else "never trained on"


def _external_figure(name: str, metrics: Metrics) -> HeadlineMetric:
    where, note, may_abstain = source_label(name), _training_note(metrics), "answers" in metrics
    images = f"Images of another collection, {note}." if note else "Images of another collection."
    images_and_abstention = images
    if may_abstain:
        images_and_abstention += " It may abstain: abstentions count neither as hits nor as false alarms."
    present = [c for c, row in metrics["per_class"].items() if row["support"]]
    if present == ["normal"] and "covid" in metrics["classes"]:
        share, ends = _share_answered(metrics, "normal", "covid")
        explanation = f"Proportion of healthy people classified as COVID-19. {images_and_abstention}"
        return HeadlineMetric("False alarms", f"healthy, {where}", share, metrics["n"], explanation, ends, may_abstain)
    if present == ["covid"]:
        share, ends = _share_answered(metrics, "covid", "covid")
        return HeadlineMetric("COVID-19 recall", where, share, metrics["n"], images_and_abstention, ends, may_abstain)
    accuracy = metrics["ci95"]["accuracy"] if "ci95" in metrics else None
    return HeadlineMetric("Accuracy", where, metrics["accuracy"], metrics["n"], images, _pair(accuracy))


def _share_answered(metrics: Metrics, true: str, called: str) -> tuple[float, tuple[float, float] | None]:
    """Return the proportion of a class that gets one answer, with its interval; abstentions are no answer."""
    if "answers" in metrics:
        cell = metrics["answers"]["per_class"][true][called]
        return cell["share"], _pair(cell["ci95"])
    i, j = metrics["classes"].index(true), metrics["classes"].index(called)
    row = metrics["confusion_matrix"][i]
    ends = metrics["ci95"]["confusion_shares"][i][j] if "ci95" in metrics else None
    return row[j] / sum(row), _pair(ends)


def _pair(ends: Interval | None) -> tuple[float, float] | None:
    return (ends[0], ends[1]) if ends else None
