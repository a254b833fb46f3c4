"""How is a classifier's performance drawn?"""

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from cxr_core.classes import class_colours
from cxr_core.evaluation.confidence_intervals import Band
from cxr_core.evaluation.metrics import ClassCurves, ConfusionCounts, Curve
from cxr_core.evaluation.operating_point import OperatingPoint
from cxr_core.plots.style import (
    CHANCE_COLOUR,
    FIRST_COLOUR,
    SECOND_COLOUR,
    drawn_label,
    drawn_text,
    finish_figure,
)

_AVERAGES = {"micro": ("Micro average", "#CC79A7", "dot"), "macro": ("Macro average", "#999999", "dash")}


def confusion_figure(metrics: ConfusionCounts, *, shares: bool = False) -> go.Figure:
    """Draw a confusion matrix with square cells, the darker the larger their proportion of the true class.

    Args:
        metrics: with the counts.
        shares: show proportions of each true class instead of counts.
    """
    labels = [drawn_label(c) for c in metrics["classes"]]
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
            # Every cell says its number; a colour bar would take the room of the cells.
            showscale=False,
            textfont={"size": 15},
            hoverinfo="skip",
        )
    )
    _add_clickable_cells(figure, metrics, part)
    # The cells fill the plot; left to itself, Plotly makes room for the markers' full size and shrinks them.
    figure.update_xaxes(range=[-0.5, len(labels) - 0.5], constrain="domain")
    figure.update_yaxes(range=[len(labels) - 0.5, -0.5], scaleanchor="x", constrain="domain", tickangle=-90)
    title = "Confusion matrix, proportion of each true class" if shares else "Confusion matrix, images"
    return finish_figure(figure, title, "Predicted class", "True class")


def _add_clickable_cells(figure: go.Figure, metrics: ConfusionCounts, percent: list[list[float]]) -> None:
    """Lay invisible markers over the cells: unlike a heat map they can be clicked in Streamlit.

    Args:
        figure: of the confusion matrix.
        metrics: with the counts.
        percent: the same in per cent of each true class.
    """
    counts = metrics["confusion_matrix"]
    cells = [(true, called) for true in metrics["classes"] for called in metrics["classes"]]
    figure.add_scatter(
        x=[drawn_label(called) for _, called in cells],
        y=[drawn_label(true) for true, _ in cells],
        mode="markers",
        marker={"size": 60, "symbol": "square", "color": "rgba(0,0,0,0)"},
        customdata=cells,
        text=[
            f"{n} images, {v:.1f} %"
            for row, of_class in zip(counts, percent, strict=True)
            for n, v in zip(row, of_class, strict=True)
        ],
        hovertemplate="true %{y}, predicted %{x}: %{text} of the true class<extra></extra>",
        showlegend=False,
    )
    figure.update_layout(hovermode="closest", hoverdistance=-1)


def roc_figure(
    curves: Mapping[str, Curve], bands: Mapping[str, Band] | None = None, *, clickable: bool = False
) -> go.Figure:
    """Draw ROC curves.

    Args:
        curves: as `metrics.roc_curves` returns them.
        bands: {class: 95 % band}, drawn below its curve.
        clickable: mark points on each class's curve, whose `customdata` are the class and the threshold.
    """
    figure = go.Figure()
    colours = class_colours([c for c in curves if c not in _AVERAGES])
    for name, band in (bands or {}).items():
        add_band(figure, band, colours[name])
    for name, curve in curves.items():
        label, colour, dash = _AVERAGES.get(name) or (drawn_label(name), colours[name], "solid")
        _add_curve(figure, label, curve, colour, dash)
        if clickable and name not in _AVERAGES:
            _add_clickable_points(figure, name, curve, colour)
    return _finish_roc(figure, "ROC curve: sensitivity against false-positive rate")


def readers_figure(
    curves: Mapping[str, Curve], points: Mapping[str, tuple[float, float]], class_name: str
) -> go.Figure:
    """Draw how well readers and a classifier tell one class: each one's curve, and where their answers lie.

    Args:
        curves: {who: curve}.
        points: {who: (false-positive rate, sensitivity)} of the answers themselves.
        class_name: the class in question.
    """
    figure = go.Figure()
    lines = ((FIRST_COLOUR, "solid", "circle"), (SECOND_COLOUR, "dash", "diamond"), ("#009E73", "dot", "square"))
    for (who, curve), (colour, dash, symbol) in zip(curves.items(), lines, strict=False):
        label = drawn_text(who)
        _add_curve(figure, label, curve, colour, dash)
        if who in points:
            rate, sensitivity = points[who]
            marker = {"color": colour, "symbol": symbol, "size": 13, "line": {"width": 1, "color": "#ffffff"}}
            figure.add_scatter(x=[rate], y=[sensitivity], name=f"{label}: answers", mode="markers", marker=marker)
    return _finish_roc(figure, f"{drawn_label(class_name)} against all else")


def _add_curve(figure: go.Figure, label: str, curve: Curve, colour: str, dash: str) -> None:
    figure.add_scatter(
        x=curve["fpr"],
        y=curve["tpr"],
        name=f"{label}, AUC {curve['auc']:.3f}",
        mode="lines",
        line={"color": colour, "dash": dash, "width": 2},
        hovertemplate=label + ": sensitivity %{y:.3f} at false-positive rate %{x:.3f}<extra></extra>",
    )


def _finish_roc(figure: go.Figure, title: str) -> go.Figure:
    chance = {"color": "#999999", "dash": "longdashdot", "width": 1}
    figure.add_scatter(x=[0, 1], y=[0, 1], name="Chance", mode="lines", line=chance, hoverinfo="skip")
    finish_figure(figure, title, "False-positive rate (1 − specificity)", "True-positive rate (sensitivity)")
    inside = {"orientation": "v", "yref": "paper", "x": 0.98, "y": 0.04, "xanchor": "right", "yanchor": "bottom"}
    return figure.update_layout(height=440, legend=inside, margin_b=10)


def add_band(figure: go.Figure, band: Band, colour: str) -> None:
    """Add a pale band in a colour "#RRGGBB", without a legend."""
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


def _add_clickable_points(figure: go.Figure, name: str, curve: Curve, colour: str) -> None:
    """Mark about forty points of a curve."""
    step = max(1, len(curve["fpr"]) // 40)
    rows = range(1, len(curve["fpr"]), step)
    figure.add_scatter(
        x=[curve["fpr"][i] for i in rows],
        y=[curve["tpr"][i] for i in rows],
        mode="markers",
        marker={"color": colour, "size": 6},
        customdata=[(name, float(curve["thresholds"][i])) for i in rows],
        hovertemplate=drawn_label(name)
        + ", threshold %{customdata[1]:.3f}: sensitivity %{y:.3f} at false-positive rate %{x:.3f}<extra></extra>",
        showlegend=False,
    )


def precision_recall_figure(curves: Mapping[str, ClassCurves]) -> go.Figure:
    """Draw precision against recall with bands, one curve per class."""
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
            name=f"{drawn_label(name)}, average precision {curve['average_precision']:.3f}",
            line={"color": colours[name], "width": 2, "shape": "hv"},
            hovertemplate=drawn_label(name) + ": precision %{y:.3f} at recall %{x:.3f}<extra></extra>",
        )
    figure.update_yaxes(range=[0, 1.02])
    title = "Precision against recall"
    finish_figure(figure, title, "Recall (sensitivity)", "Precision (positive predictive value)")
    return figure.update_layout(height=440)


def reliability_figure(bins: pd.DataFrame, title: str) -> go.Figure:
    """Draw a reliability diagram: accuracy against confidence.

    Args:
        bins: as `calibration.reliability_bins` returns them; each bar's `customdata` begins with its row.
        title: of the figure.
    """
    figure = go.Figure()
    figure.add_bar(
        x=100 * (bins["low"] + bins["high"]) / 2,
        y=100 * bins["accuracy"],
        width=100 * (bins["high"] - bins["low"]) * 0.94,
        name="Accuracy",
        marker={"color": FIRST_COLOUR},
        customdata=list(zip(range(len(bins)), bins["images"], 100 * bins["confidence"], strict=True)),
        hovertemplate="%{customdata[1]} images, mean confidence %{customdata[2]:.1f} %: accuracy %{y:.1f} %"
        "<extra></extra>",
    )
    figure.add_scatter(
        x=100 * bins["confidence"],
        y=100 * bins["confidence"],
        name="Mean confidence",
        mode="markers",
        marker={"color": SECOND_COLOUR, "symbol": "diamond", "size": 9},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[0, 100], y=[0, 100], mode="lines", name="Perfect calibration",
        line={"color": CHANCE_COLOUR, "dash": "dash"}, hoverinfo="skip",
    )  # fmt: skip
    figure.update_xaxes(range=[0, 102])
    figure.update_yaxes(range=[0, 102])
    return finish_figure(figure, title, "Confidence in %", "Accuracy in %")


def coverage_figure(curve: pd.DataFrame, chosen: float) -> go.Figure:
    """Draw accuracy against coverage, with the point at which the classifier abstains.

    Args:
        curve: as `selective_classification.coverage_curve` returns it.
        chosen: confidence in [0, 1] below which it abstains.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=100 * curve["coverage"],
        y=100 * curve["accuracy"],
        mode="lines",
        name="At every confidence",
        line={"color": FIRST_COLOUR},
        customdata=curve["abstain_below"],
        hovertemplate="answers %{x:.1f} %, accuracy %{y:.1f} %, abstains below %{customdata:.3f}<extra></extra>",
    )
    here = curve[curve["abstain_below"] >= chosen].tail(1)
    figure.add_scatter(
        x=100 * here["coverage"],
        y=100 * here["accuracy"],
        mode="markers",
        name="Chosen",
        marker={"color": SECOND_COLOUR, "size": 12, "symbol": "diamond"},
        hovertemplate="answers %{x:.1f} %, accuracy %{y:.1f} %<extra>chosen</extra>",
    )
    figure.update_xaxes(range=[0, 102])
    return finish_figure(
        figure,
        "Accuracy gained by abstaining",
        "Coverage: images answered in %",
        "Accuracy when it answers in %",
    )


def operating_figure(curve: Curve, point: OperatingPoint, name: str) -> go.Figure:
    """Draw the ROC curve of one class with an operating point, which needs images of the class and of others."""
    colour = class_colours([name])[name]
    figure = go.Figure()
    figure.add_scatter(
        x=curve["fpr"], y=curve["tpr"], mode="lines", name=drawn_label(name), line={"color": colour},
        hovertemplate="sensitivity %{y:.3f} at false-positive rate %{x:.3f}<extra></extra>",
    )  # fmt: skip
    assert point.specificity is not None, "a ROC curve has images of both sides"
    figure.add_scatter(
        x=[1 - point.specificity], y=[point.sensitivity], mode="markers", name=f"Threshold {point.threshold:.3f}",
        marker={"color": "#000000", "size": 13, "symbol": "diamond", "line": {"color": "#FFFFFF", "width": 2}},
        hovertemplate="sensitivity %{y:.3f} at false-positive rate %{x:.3f}<extra>this threshold</extra>",
    )  # fmt: skip
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_yaxes(range=[0, 1.04])
    return finish_figure(
        figure, "Operating point", "False-positive rate (1 − specificity)", "True-positive rate (sensitivity)"
    )


def alarm_figure(point: OperatingPoint) -> go.Figure:
    """Draw the confusion matrix of one class against the rest at an operating point."""
    label = drawn_label(point.class_name)
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
            colorbar={"title": {"text": "% of true class"}},
            hovertemplate="%{y}, %{x}: %{text} images, %{z:.1f} %<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed")
    return finish_figure(figure, "Alarms at this threshold, images", "Prediction", "True class")


def decision_figure(curve: pd.DataFrame, threshold: float) -> go.Figure:
    """Draw a decision curve.

    Args:
        curve: as `decision_curve.decision_curve` returns it.
        threshold: in [0, 1], marked with a line.
    """
    figure = go.Figure()
    for key, label, colour, dash in (
        ("classifier", "Treat on alarm", FIRST_COLOUR, "solid"),
        ("everybody", "Treat all", SECOND_COLOUR, "dash"),
        ("nobody", "Treat none", CHANCE_COLOUR, "dot"),
    ):
        figure.add_scatter(
            x=curve["threshold"],
            y=curve[key],
            mode="lines",
            name=label,
            line={"color": colour, "dash": dash},
            hovertemplate="threshold %{x:.2f}: net benefit %{y:.4f}<extra>" + label + "</extra>",
        )
    figure.add_vline(x=threshold, line={"color": "#777777", "width": 1})
    top = max(0.01, float(curve[["classifier", "everybody"]].max().max()))
    figure.update_yaxes(range=[-0.3 * top, 1.1 * top])
    return finish_figure(
        figure, "Decision curve: is acting on the alarms worth it?", "Threshold probability", "Net benefit per person"
    )
