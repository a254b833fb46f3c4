"""How are the shortcut test and the checks of the maps drawn?"""

from collections.abc import Sequence
from typing import Literal

import plotly.graph_objects as go

from cxr_core.evaluation.confidence_intervals import Interval
from cxr_core.plots.style import CHANCE_COLOUR, FIRST_COLOUR, SECOND_COLOUR, drawn_label, finish_figure
from cxr_core.robustness.shortcut_results import ClassAttention, RemovalCurve, ShortcutResult, ShortcutSummary


def variants_figure(result: ShortcutResult | ShortcutSummary) -> go.Figure:
    """Draw the accuracy per variant, as trained and retrained, with intervals and chance."""
    figure = go.Figure()
    variants = result["variants"][::-1]
    titles = [v["title"] for v in variants]
    as_trained = [(v["accuracy"], v["accuracy_ci95"]) for v in variants]
    retrained = [(v["retrained"], v["retrained_ci95"]) for v in variants]
    _add_bars(figure, titles, as_trained, "The classifier as it is", FIRST_COLOUR, "")
    _add_bars(figure, titles, retrained, "A head retrained on such images", SECOND_COLOUR, "/")
    chance = 100 * result["chance"]
    figure.add_vline(x=chance, line={"color": CHANCE_COLOUR, "dash": "dash"})
    figure.add_annotation(x=chance, y=1, yref="paper", yanchor="bottom", text=f"chance {chance:.0f} %", showarrow=False)
    figure.update_xaxes(range=[0, 102])
    figure.update_layout(barmode="group", bargap=0.25, legend_traceorder="reversed")
    finish_figure(figure, "Accuracy when parts of the image are removed", "Accuracy in %", "What is shown")
    return figure.update_layout(height=520, legend={"yref": "paper", "yanchor": "top", "y": -0.14}, margin={"t": 70})


def _add_bars(
    figure: go.Figure,
    titles: Sequence[str],
    scores: Sequence[tuple[float, Interval | None]],
    label: str,
    colour: str,
    pattern: str,
) -> None:
    """Add one bar per score in [0, 1], with its interval where it has one."""
    ends = [interval or [value, value] for value, interval in scores]
    values = [100 * value for value, _ in scores]
    figure.add_bar(
        y=titles,
        x=values,
        name=label,
        orientation="h",
        marker={"color": colour, "pattern": {"shape": pattern}},
        error_x={
            "type": "data",
            "array": [100 * high - value for value, (_, high) in zip(values, ends, strict=True)],
            "arrayminus": [value - 100 * low for value, (low, _) in zip(values, ends, strict=True)],
            "thickness": 1.5,
            "color": "#7A7A7A",
        },
        customdata=[[100 * low, 100 * high] for low, high in ends],
        hovertemplate="%{y}: %{x:.1f} %, 95 % interval %{customdata[0]:.1f} to %{customdata[1]:.1f} %<extra>"
        + label
        + "</extra>",
    )


def attention_figure(attention: Sequence[ClassAttention]) -> go.Figure:
    """Draw the proportion of the maps' weight inside the lungs beside the lungs' proportion of the image."""
    figure = go.Figure()
    labels = [drawn_label(row["class_name"]) for row in attention]
    for shares, label, colour, pattern in (
        ([row["share"] for row in attention], "Weight of the maps inside the lungs", FIRST_COLOUR, ""),
        ([row["area"] for row in attention], "The lungs' share of the image", CHANCE_COLOUR, "/"),
    ):
        figure.add_bar(
            x=labels,
            y=[100 * share for share in shares],
            name=label,
            marker={"color": colour, "pattern": {"shape": pattern}},
            text=[f"{100 * share:.0f} %" for share in shares],
            textposition="outside",
            cliponaxis=False,
            customdata=[row["images"] for row in attention],
            hovertemplate="%{x}: %{y:.1f} % over %{customdata} images<extra>" + label + "</extra>",
        )
    figure.update_layout(barmode="group")
    return finish_figure(figure, "Does it look inside the lungs?", "True class", "Proportion in %")


def removal_figure(curves: RemovalCurve, kind: Literal["deletion", "insertion"]) -> go.Figure:
    """Draw a deletion or insertion curve beside the one in random order."""
    titles = {
        "deletion": ("Deletion test: removing what the map points at", "Proportion of the image blacked out in %"),
        "insertion": ("Insertion test: restoring what the map points at", "Proportion of the image restored in %"),
    }
    figure = go.Figure()
    for probabilities, area, label, colour, dash in (
        (curves["map"], curves["map_area"], "In the map's order", FIRST_COLOUR, "solid"),
        (curves["random"], curves["random_area"], "In random order", CHANCE_COLOUR, "dash"),
    ):
        figure.add_scatter(
            x=[100 * share for share in curves["shares"]],
            y=probabilities,
            name=f"{label}, mean {area:.2f}",
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            hovertemplate="%{x:.0f} %: probability %{y:.3f}<extra>" + label + "</extra>",
        )
    figure.update_yaxes(range=[0, 1.02])
    return finish_figure(figure, titles[kind][0], titles[kind][1], "Probability of the predicted class")
