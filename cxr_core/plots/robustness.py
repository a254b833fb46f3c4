"""How the shortcut test and the checks of maps are drawn."""

import plotly.graph_objects as go

from cxr_core.classes import class_label
from cxr_core.plots.style import CHANCE_COLOUR, FIRST_COLOUR, SECOND_COLOUR, finish_figure


def variants_figure(result):
    """Draw the lab's scores per variant, as trained and retrained, with their intervals and chance.

    Args:
        result: dict as `shortcut_test.run_shortcut_test` returns it.
    """
    figure = go.Figure()
    variants = result["variants"][::-1]
    series = (
        ("accuracy", "The classifier as it is", FIRST_COLOUR, ""),
        ("retrained", "A head retrained on such images", SECOND_COLOUR, "/"),
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
    finish_figure(figure, "What is left when something is taken away", "Accuracy on test images in %", "What is shown")
    return figure.update_layout(height=520, legend={"orientation": "h", "y": -0.14, "x": 0}, margin={"t": 70})


def attention_figure(attention):
    """Draw the share of the maps' weight inside the lungs beside the lungs' share of the image.

    Args:
        attention: list of dicts as `saliency_checks.attention_in_lungs` returns it.
    """
    figure = go.Figure()
    labels = [class_label(row["class_name"]) for row in attention]
    for key, label, colour, pattern in (
        ("share", "Weight of the maps inside the lungs", FIRST_COLOUR, ""),
        ("area", "The lungs' share of the image", CHANCE_COLOUR, "/"),
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
            hovertemplate="%{x}: %{y:.1f} % over %{customdata} images<extra>" + label + "</extra>",
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
        "deletion": ("Taking away what the map points at", "Share of the image blacked out in %"),
        "insertion": ("Giving back what the map points at", "Share of the image shown sharply in %"),
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
