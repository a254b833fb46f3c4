"""Plotly figures of whether to believe a classifier; they only draw what is already computed."""

import plotly.graph_objects as go

from cxr_core.classes import class_colours, class_label
from cxr_core.plots.style import add_band, finish_figure

# No class's colours: these are about no class.
FIRST_COLOUR, SECOND_COLOUR, CHANCE_COLOUR = "#56B4E9", "#E69F00", "#999999"


def variants_figure(result):
    """Draw the lab's scores per variant, as trained and retrained, with their intervals and chance.

    Args:
        result: dict as `shortcut_test.examine_shortcuts` returns it.
    """
    figure = go.Figure()
    variants = result["variants"][::-1]
    series = (
        ("accuracy", "The classifier as it is", FIRST_COLOUR, ""),
        ("retrained", "A head retrained on such pictures", SECOND_COLOUR, "/"),
    )
    for key, label, colour, pattern in series:
        ends = [v[f"{key}_ci95"] or [v[key], v[key]] for v in variants]
        figure.add_bar(
            y=[v["title"] for v in variants],
            x=[100 * v[key] for v in variants],
            name=label,
            orientation="h",
            marker={"color": colour, "pattern": {"shape": pattern}},
            error_x={
                "type": "data",
                "array": [100 * (high - v[key]) for v, (_, high) in zip(variants, ends, strict=True)],
                "arrayminus": [100 * (v[key] - low) for v, (low, _) in zip(variants, ends, strict=True)],
                "thickness": 1.5,
                "color": "#7A7A7A",
            },
            customdata=[[100 * low, 100 * high] for low, high in ends],
            hovertemplate="%{y}: %{x:.1f} %, 95 % interval %{customdata[0]:.1f} to %{customdata[1]:.1f} %<extra>"
            + label
            + "</extra>",
        )
    chance = 100 * result["chance"]
    figure.add_vline(x=chance, line={"color": CHANCE_COLOUR, "dash": "dash"})
    figure.add_annotation(x=chance, y=1.03, yref="paper", text=f"chance {chance:.0f} %", showarrow=False)
    figure.update_xaxes(range=[0, 102])
    figure.update_layout(barmode="group", bargap=0.25, legend_traceorder="reversed")
    finish_figure(
        figure, "What is left when something is taken away", "Accuracy on test pictures in %", "What is shown"
    )
    return figure.update_layout(height=520, legend={"orientation": "h", "y": -0.14, "x": 0}, margin={"t": 70})


def attention_figure(attention):
    """Draw the share of the maps' weight inside the lungs beside the lungs' share of the picture.

    Args:
        attention: list of dicts as `saliency_checks.attention_in_lungs` returns it.
    """
    figure = go.Figure()
    labels = [class_label(row["class_name"]) for row in attention]
    for key, label, colour, pattern in (
        ("share", "Weight of the maps inside the lungs", FIRST_COLOUR, ""),
        ("area", "The lungs' share of the picture", CHANCE_COLOUR, "/"),
    ):
        figure.add_bar(
            x=labels,
            y=[100 * row[key] for row in attention],
            name=label,
            marker={"color": colour, "pattern": {"shape": pattern}},
            text=[f"{row[key]:.0%}" for row in attention],
            textposition="outside",
            cliponaxis=False,
            customdata=[row["images"] for row in attention],
            hovertemplate="%{x}: %{y:.1f} % over %{customdata} pictures<extra>" + label + "</extra>",
        )
    figure.update_layout(barmode="group")
    return finish_figure(figure, "Where it looks: inside the lungs?", "True class", "Share in %")


def removal_figure(curves, kind):
    """Draw a deletion or insertion curve beside the one in random order.

    Args:
        curves: dict as `saliency_checks.check_maps` returns under `kind`.
        kind: "deletion" or "insertion".
    """
    titles = {
        "deletion": ("Taking away what the map points at", "Share of the picture blacked out in %"),
        "insertion": ("Giving back what the map points at", "Share of the picture shown sharply in %"),
    }
    figure = go.Figure()
    for key, label, colour, dash in (
        ("map", "In the map's order", FIRST_COLOUR, "solid"),
        ("random", "In random order", CHANCE_COLOUR, "dash"),
    ):
        figure.add_scatter(
            x=[100 * share for share in curves["shares"]],
            y=curves[key],
            name=f"{label}, mean {curves[f'{key}_area']:.2f}",
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            hovertemplate="%{x:.0f} %: probability %{y:.3f}<extra>" + label + "</extra>",
        )
    figure.update_yaxes(range=[0, 1.02])
    return finish_figure(figure, titles[kind][0], titles[kind][1], "Probability of the class answered")


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
        hovertemplate="%{customdata[1]} pictures, sure to %{customdata[2]:.1f} %: right in %{y:.1f} %<extra></extra>",
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
        "Coverage: share of pictures answered in %",
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
    counts = [[point.found, point.missed], [point.false_alarms, point.rightly_none]]
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
            hovertemplate="%{y}, %{x}: %{text} pictures, %{z:.1f} %<extra></extra>",
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
