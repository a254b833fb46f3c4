"""How a classifier's performance is drawn."""

import plotly.graph_objects as go

from cxr_core.classes import class_colours, class_label
from cxr_core.plots.style import CHANCE_COLOUR, FIRST_COLOUR, SECOND_COLOUR, finish_figure

_AVERAGES = {"micro": ("Micro average", "#CC79A7", "dot"), "macro": ("Macro average", "#999999", "dash")}


def confusion_figure(metrics, *, shares=False):
    """Draw a confusion matrix.

    Args:
        metrics: dict as `metrics.evaluate_predictions` returns.
        shares: bool, shares of the true class instead of counts.
    """
    labels = [class_label(c) for c in metrics["classes"]]
    counts = metrics["confusion_matrix"]
    totals = [sum(row) for row in counts]
    part = [[100 * n / t if t else 0 for n in row] for row, t in zip(counts, totals, strict=True)]
    text = [[f"{v:.1f} %" for v in row] for row in part] if shares else [[str(v) for v in row] for row in counts]
    figure = go.Figure(
        go.Heatmap(
            z=part,
            x=labels,
            y=labels,
            text=text,
            texttemplate="%{text}",
            colorscale="Blues",
            zmin=0,
            zmax=100,
            colorbar={"title": {"text": "% of true class"}},
            hoverinfo="skip",
        )
    )
    # A heat map cannot be clicked in Streamlit; marks that nobody sees can, from anywhere in a cell.
    cells = [(true, called) for true in metrics["classes"] for called in metrics["classes"]]
    figure.add_scatter(
        x=[class_label(called) for _, called in cells],
        y=[class_label(true) for true, _ in cells],
        mode="markers",
        marker={"size": 60, "symbol": "square", "color": "rgba(0,0,0,0)"},
        customdata=cells,
        text=[
            f"{n} images, {v:.1f} %" for row, of in zip(counts, part, strict=True) for n, v in zip(row, of, strict=True)
        ],
        hovertemplate="true %{y}, predicted %{x}: %{text} of the true class<extra></extra>",
        showlegend=False,
    )
    figure.update_layout(hovermode="closest", hoverdistance=-1)
    figure.update_yaxes(autorange="reversed")
    title = "Confusion matrix, share of each true class" if shares else "Confusion matrix, images"
    return finish_figure(figure, title, "Predicted class", "True class")


def roc_figure(curves, bands=None, *, clickable=False):
    """Draw ROC curves.

    Args:
        curves: dict as `metrics.roc_curves` returns.
        bands: dict of class to a 95 % band `x`, `low`, `high`, drawn below its curve, or None.
        clickable: bool, mark points on each class's curve, whose `customdata` are the class and the threshold.
    """
    figure = go.Figure()
    colours = class_colours([c for c in curves if c not in _AVERAGES])
    for name, band in (bands or {}).items():
        add_band(figure, band, colours[name])
    for name, curve in curves.items():
        label, colour, dash = _AVERAGES.get(name) or (class_label(name), colours[name], "solid")
        figure.add_scatter(
            x=curve["fpr"],
            y=curve["tpr"],
            name=f"{label}, AUC {curve['auc']:.3f}",
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2},
            hovertemplate=label + ": %{y:.3f} found at %{x:.3f} false alarms<extra></extra>",
        )
        if clickable and name not in _AVERAGES:
            _add_clickable_points(figure, name, curve, colour)
    chance = {"color": "#999999", "dash": "longdashdot", "width": 1}
    figure.add_scatter(x=[0, 1], y=[0, 1], name="Chance", mode="lines", line=chance, hoverinfo="skip")
    finish_figure(
        figure,
        "Found against false alarms (ROC)",
        "False positive rate (1 − specificity)",
        "True positive rate (sensitivity)",
    )
    inside = {"orientation": "v", "x": 0.98, "y": 0.04, "xanchor": "right", "yanchor": "bottom"}
    return figure.update_layout(height=440, legend=inside)


def add_band(figure, band, colour):
    """Draw a band of `x`, `low` and `high` (each (n,)) in a colour "#RRGGBB", pale, without a legend."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    figure.add_scatter(
        x=[*band["x"], *band["x"][::-1]],
        y=[*band["high"], *band["low"][::-1]],
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},0.15)",
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
    )


def _add_clickable_points(figure, name, curve, colour):
    """Mark about forty points of a curve."""
    step = max(1, len(curve["fpr"]) // 40)
    rows = range(1, len(curve["fpr"]), step)
    figure.add_scatter(
        x=[curve["fpr"][i] for i in rows],
        y=[curve["tpr"][i] for i in rows],
        mode="markers",
        marker={"color": colour, "size": 6},
        customdata=[(name, float(curve["thresholds"][i])) for i in rows],
        hovertemplate=class_label(name) + " from %{customdata[1]:.3f} on: %{y:.3f} found at %{x:.3f}<extra></extra>",
        showlegend=False,
    )


def precision_recall_figure(curves):
    """Draw precision over recall with bands.

    Args:
        curves: dict as `metrics.class_curves` returns.
    """
    figure = go.Figure()
    colours = class_colours(list(curves))
    for name, curve in curves.items():
        if curve["bands"]:
            add_band(figure, curve["bands"]["precision_recall"], colours[name])
    for name, curve in curves.items():
        figure.add_scatter(
            x=curve["recall"],
            y=curve["precision"],
            mode="lines",
            name=f"{class_label(name)}, average precision {curve['average_precision']:.3f}",
            line={"color": colours[name], "width": 2, "shape": "hv"},
            hovertemplate=class_label(name) + ": %{y:.3f} of alarms true at %{x:.3f} found<extra></extra>",
        )
    figure.update_yaxes(range=[0, 1.02])
    title = "Precision against recall"
    finish_figure(figure, title, "Recall (share found)", "Precision (share of alarms that are true)")
    return figure.update_layout(height=440)


def reliability_figure(bins, title):
    """Draw how often a classifier is right against how sure it is.

    Args:
        bins: DataFrame as `calibration.reliability_bins` returns it; each bar's `customdata` begins with its row.
        title: str.
    """
    figure = go.Figure()
    figure.add_bar(
        x=100 * (bins["low"] + bins["high"]) / 2,
        y=100 * bins["accuracy"],
        width=100 * (bins["high"] - bins["low"]) * 0.94,
        name="How often it is right",
        marker={"color": FIRST_COLOUR},
        customdata=list(zip(range(len(bins)), bins["images"], 100 * bins["confidence"], strict=True)),
        hovertemplate="%{customdata[1]} images, sure to %{customdata[2]:.1f} %: right in %{y:.1f} %<extra></extra>",
    )
    figure.add_scatter(
        x=100 * bins["confidence"],
        y=100 * bins["confidence"],
        name="How sure it is",
        mode="markers",
        marker={"color": SECOND_COLOUR, "symbol": "diamond", "size": 9},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[0, 100], y=[0, 100], mode="lines", name="Confidence as it should be",
        line={"color": CHANCE_COLOUR, "dash": "dash"}, hoverinfo="skip",
    )  # fmt: skip
    figure.update_xaxes(range=[0, 102])
    figure.update_yaxes(range=[0, 102])
    return finish_figure(figure, title, "Confidence in %", "Share right in %")


def coverage_figure(curve, chosen):
    """Draw accuracy against coverage, with the point where it abstains below `chosen` confidence.

    Args:
        curve: DataFrame as `selective_classification.coverage_curve` returns it.
        chosen: float in [0, 1].
    """
    figure = go.Figure()
    figure.add_scatter(
        x=100 * curve["coverage"],
        y=100 * curve["accuracy"],
        mode="lines",
        name="Answers given",
        line={"color": FIRST_COLOUR},
        customdata=curve["abstain_below"],
        hovertemplate="answers %{x:.1f} %, right in %{y:.1f} %, when sure to %{customdata:.3f}<extra></extra>",
    )
    here = curve[curve["abstain_below"] >= chosen].tail(1)
    figure.add_scatter(
        x=100 * here["coverage"],
        y=100 * here["accuracy"],
        mode="markers",
        name="Chosen",
        marker={"color": SECOND_COLOUR, "size": 12, "symbol": "diamond"},
        hovertemplate="answers %{x:.1f} %, right in %{y:.1f} %<extra>chosen</extra>",
    )
    figure.update_xaxes(range=[0, 102])
    return finish_figure(
        figure,
        "What abstaining buys",
        "Coverage: share of images answered in %",
        "Share of answers that are right in %",
    )


def operating_figure(curve, point, name):
    """Draw one class's ROC curve with an operating point on it.

    Args:
        curve: dict of `fpr` and `tpr`, as `metrics.roc_curves` returns per class.
        point: operating_point.OperatingPoint.
        name: str, the class.
    """
    colour = class_colours([name])[name]
    figure = go.Figure()
    figure.add_scatter(
        x=curve["fpr"], y=curve["tpr"], mode="lines", name=class_label(name), line={"color": colour},
        hovertemplate="%{y:.3f} found at %{x:.3f} false alarms<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=[1 - point.specificity], y=[point.sensitivity], mode="markers", name=f"From {point.threshold:.3f} on",
        marker={"color": "#000000", "size": 13, "symbol": "diamond", "line": {"color": "#FFFFFF", "width": 2}},
        hovertemplate="%{y:.3f} found at %{x:.3f} false alarms<extra>this threshold</extra>",
    )  # fmt: skip
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_yaxes(range=[0, 1.04])
    return finish_figure(
        figure, "The point on the curve", "False positive rate (1 − specificity)", "True positive rate (sensitivity)"
    )


def alarm_figure(point):
    """Draw the confusion matrix of one class against the rest at an operating point."""
    label = class_label(point.class_name)
    counts = [[point.true_positives, point.false_negatives], [point.false_positives, point.true_negatives]]
    shares = [[100 * n / sum(row) if sum(row) else 0 for n in row] for row in counts]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=["Alarm", "No alarm"],
            y=[label, "Others"],
            text=[[str(n) for n in row] for row in counts],
            texttemplate="%{text}",
            colorscale="Blues",
            zmin=0,
            zmax=100,
            colorbar={"title": {"text": "% of true side"}},
            hovertemplate="%{y}, %{x}: %{text} images, %{z:.1f} %<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed")
    return finish_figure(figure, "Alarms at this threshold, images", "Answer", "True side")


def decision_figure(curve, threshold):
    """Draw a decision curve.

    Args:
        curve: DataFrame as `decision_curve.decision_curve` returns it.
        threshold: float, marked.
    """
    figure = go.Figure()
    for key, label, colour, dash in (
        ("classifier", "Acting on its alarms", FIRST_COLOUR, "solid"),
        ("everybody", "Acting on everybody", SECOND_COLOUR, "dash"),
        ("nobody", "Acting on nobody", CHANCE_COLOUR, "dot"),
    ):
        figure.add_scatter(
            x=curve["threshold"],
            y=curve[key],
            mode="lines",
            name=label,
            line={"color": colour, "dash": dash},
            hovertemplate="from %{x:.2f} on: net benefit %{y:.4f}<extra>" + label + "</extra>",
        )
    figure.add_vline(x=threshold, line={"color": "#777777", "width": 1})
    top = max(0.01, float(curve[["classifier", "everybody"]].max().max()))
    figure.update_yaxes(range=[-0.3 * top, 1.1 * top])
    return finish_figure(
        figure, "Decision curve: is acting on its alarms worth it?", "Threshold probability", "Net benefit per person"
    )
