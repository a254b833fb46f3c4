"""Which few numbers sum a classifier up."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One headline figure: what it is, measured where, its value in [0, 1], and over how many images.

    `interval` is its 95 % interval (low, high), or None where none was measured. `may_abstain` is True where images
    that the classifier is not sure of count as without an answer; otherwise each is called what is likeliest.
    """

    label: str
    where: str
    value: float
    n: int
    explanation: str
    interval: tuple | None = None
    may_abstain: bool = False


def card_figures(card):
    """Return the figures that sum a classifier up: its own test split first, then elsewhere.

    Args:
        card: Card with metrics under "test" and, where measured, "external".

    Returns:
        list of Figure; empty before anything was measured. For a data set of healthy people alone
        the figure is the share answered COVID-19, for one of COVID-19 alone the share found; where the classifier may
        abstain, "not sure" is neither.
    """
    test = card.metrics.get("test")
    if not test:
        return []
    own = "Measured on the test split that training and choosing never saw."
    ends = test.get("ci95") or {"accuracy": None, "per_class": {}}
    figures = [Figure("Accuracy", "own test split", test["accuracy"], test["n"], own, _pair(ends["accuracy"]))]
    covid = test["per_class"].get("covid")
    if covid and covid["recall"] is not None:
        found = _pair(ends["per_class"].get("covid", {}).get("recall"))
        figures.append(Figure("COVID-19 found", "own test split", covid["recall"], covid["support"], own, found))
    return figures + [_figure_elsewhere(*item) for item in card.metrics.get("external", {}).items()]


def figure_words(figure):
    """Return a Figure as texts for a report, a dict of `label`, `value` (with its interval), `n` and `explanation`."""
    ends = figure.interval
    return {
        "label": f"{figure.label}, {figure.where}",
        "value": f"{figure.value:.1%}" + (f" ({ends[0]:.1%} to {ends[1]:.1%})" if ends else ""),
        "n": figure.n,
        "explanation": figure.explanation,
    }


def _figure_elsewhere(name, metrics):
    images, may_abstain = "Images from another hospital, never trained on.", "answers" in metrics
    elsewhere = images + (" Those that it is not sure of count as without an answer." if may_abstain else "")
    present = [c for c, row in metrics["per_class"].items() if row["support"]]
    if present == ["normal"] and "covid" in metrics["classes"]:
        share, ends = _share_answered(metrics, "normal", "covid")
        explanation = f"Share of healthy people called COVID-19. {elsewhere}"
        return Figure("False alarms", f"healthy, {name}", share, metrics["n"], explanation, ends, may_abstain)
    if present == ["covid"]:
        share, ends = _share_answered(metrics, "covid", "covid")
        return Figure("COVID-19 found", name, share, metrics["n"], elsewhere, ends, may_abstain)
    ends = _pair((metrics.get("ci95") or {}).get("accuracy"))
    return Figure("Accuracy", name, metrics["accuracy"], metrics["n"], images, ends)


def _share_answered(metrics, true, called):
    """Return the share of a class that is answered so, abstentions counted as no answer, and its interval."""
    if "answers" in metrics:
        cell = metrics["answers"]["per_class"][true][called]
        return cell["share"], _pair(cell["ci95"])
    i, j = metrics["classes"].index(true), metrics["classes"].index(called)
    row = metrics["confusion_matrix"][i]
    ends = metrics["ci95"]["confusion_shares"][i][j] if "ci95" in metrics else None
    return row[j] / sum(row), _pair(ends)


def _pair(ends):
    return tuple(ends) if ends else None
