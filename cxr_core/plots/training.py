"""How is a training drawn, alone or beside others?"""

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from cxr_core.plots.style import CHANCE_COLOUR, drawn_text, finish_figure

# What is recorded per epoch: title of the figure, and of its axis.
QUANTITIES: dict[str, tuple[str, str]] = {
    "val_accuracy": ("Validation accuracy", "Accuracy"),
    "val_loss": ("Validation loss", "Cross-entropy"),
    "accuracy": ("Training accuracy", "Accuracy"),
    "loss": ("Training loss", "Cross-entropy"),
    "learning_rate": ("Learning rate", "Learning rate (Adam)"),
}
# Okabe and Ito's palette; the dash distinguishes runs for colour-blind eyes, and from the eighth on.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def overlay_figure(histories: Mapping[str, pd.DataFrame], quantity: str) -> go.Figure:
    """Draw the curves of several runs over each other.

    Args:
        histories: {name: epochs of a run, as `run.Run.epochs` returns them}; empty ones are left out.
        quantity: a key of `QUANTITIES`.
    """
    title, y_title = QUANTITIES[quantity]
    figure = go.Figure()
    for i, (name, epochs) in enumerate(histories.items()):
        if not len(epochs):
            continue
        figure.add_scatter(
            x=epochs["epoch"],
            y=epochs[quantity],
            name=drawn_text(name),
            mode="lines+markers",
            line={"color": _COLOURS[i % len(_COLOURS)], "dash": _DASHES[i % len(_DASHES)]},
            hovertemplate="epoch %{x}: %{y:.4g}<extra>" + drawn_text(name) + "</extra>",
        )
    figure.update_xaxes(rangemode="tozero")
    if quantity.endswith("accuracy"):
        figure.update_yaxes(range=[0, 1.02])
    return finish_figure(figure, title, "Epoch", y_title)


def repeated_runs_figure(table: pd.DataFrame) -> go.Figure:
    """Draw how metrics vary over folds or seeds: the mean with its 95 % interval, the lowest and the highest run.

    Args:
        table: as `repeated_runs.repeated_runs_table` returns it.
    """
    figure = go.Figure()
    for column in ("lowest", "highest"):
        figure.add_scatter(
            x=100 * table[column],
            y=table["figure"].map(drawn_text),
            name=f"{column} run",
            mode="markers",
            marker={"symbol": "line-ns-open", "size": 14, "color": _COLOURS[-1], "line": {"width": 2}},
            hovertemplate="%{y}: %{x:.1f} %<extra>" + column + " run</extra>",
        )
    up, down = 100 * (table["high"] - table["mean"]), 100 * (table["mean"] - table["low"])
    figure.add_scatter(
        x=100 * table["mean"],
        y=table["figure"].map(drawn_text),
        error_x={"type": "data", "symmetric": False, "array": up.fillna(0), "arrayminus": down.fillna(0)},
        name="mean, 95 % interval",
        mode="markers",
        marker={"size": 9, "color": _COLOURS[0]},
        hovertemplate="%{y}: %{x:.1f} %<extra>mean</extra>",
    )
    figure.update_xaxes(range=[0, 102])
    figure.update_yaxes(autorange="reversed")
    return finish_figure(figure, "Variation over runs, on their test images", "Value in % (AUC times 100)", "Metric")


def left_out_figure(table: pd.DataFrame) -> go.Figure:
    """Draw the accuracy at each source where it was left out, with its 95 % interval, and where it was trained on.

    Args:
        table: as `left_out_sources.left_out_table` returns it.
    """
    low, high = table["low"].fillna(table["accuracy"]), table["high"].fillna(table["accuracy"])
    figure = go.Figure()
    figure.add_scatter(
        x=100 * table["known_accuracy"],
        y=table["source"].map(drawn_text),
        name="trained on all sources",
        mode="markers",
        marker={"symbol": "diamond-open", "color": _COLOURS[0], "size": 11},
        hovertemplate="%{y}: %{x:.1f} % where it was trained on<extra></extra>",
    )
    figure.add_scatter(
        x=100 * table["accuracy"],
        y=table["source"].map(drawn_text),
        name="left out",
        mode="markers",
        marker={"color": _COLOURS[1], "size": 9},
        error_x={"array": 100 * (high - table["accuracy"]), "arrayminus": 100 * (table["accuracy"] - low)},
        customdata=table["images"],
        hovertemplate="%{y}: %{x:.1f} % of %{customdata} images, left out<extra></extra>",
    )
    figure.update_xaxes(range=[0, 102])
    figure.update_yaxes(autorange="reversed")
    return finish_figure(figure, "Accuracy at each source", "Accuracy (%)", "")


def history_figures(
    epochs: pd.DataFrame, batches: pd.DataFrame | None = None, *, kept: int | None = None
) -> list[go.Figure]:
    """Draw loss, accuracy and learning rate over epochs, with batches as a thin line.

    Args:
        epochs: as `run.Run.epochs` returns them, possibly empty.
        batches: as `run.Run.batches` returns them.
        kept: the epoch whose weights are kept, to be marked; None marks none.

    Returns:
        Three figures.
    """
    curves = (("loss", "Loss", "Cross-entropy"), ("accuracy", "Accuracy", "Accuracy"))
    figures = [_curve_figure(epochs, batches, *curve) for curve in curves]
    figures[1].update_yaxes(range=[0, 1.02])
    rate = go.Figure()
    if len(epochs):
        rate.add_scatter(
            x=epochs["epoch"],
            y=epochs["learning_rate"],
            mode="lines",
            line={"color": "#009E73", "shape": "hv"},
            hovertemplate="epoch %{x}: %{y:.2e}<extra></extra>",
        )
    rate.update_yaxes(rangemode="tozero", exponentformat="power")
    figures.append(finish_figure(rate, "Learning rate", "Epoch", "Learning rate (Adam)"))
    for figure in figures:
        figure.update_xaxes(rangemode="tozero")
    for figure in figures[:2] if kept is not None else ():
        # Above the plot, where no curve runs through the words.
        figure.add_vline(kept, line={"color": CHANCE_COLOUR, "dash": "dot"})
        figure.add_annotation(x=kept, y=1, yref="y domain", yanchor="bottom", text=f"kept: {kept}", showarrow=False)
    return figures


def _curve_figure(epochs: pd.DataFrame, batches: pd.DataFrame | None, name: str, title: str, y_title: str) -> go.Figure:
    figure = go.Figure()
    if batches is not None and len(batches):
        # A batch's place within its epoch; the running epoch's length is that of the longest so far.
        position = batches["epoch"] - 1 + batches["batch"] / batches["batch"].max()
        figure.add_scatter(
            x=position,
            y=batches[name],
            name="Per batch",
            mode="lines",
            line={"color": "#56B4E9", "width": 1},
            hovertemplate="epoch %{x:.2f}: %{y:.4f}<extra>running mean of the epoch</extra>",
        )
    sides = (("", "Training", "#0072B2", "solid"), ("val_", "Validation", "#D55E00", "dash"))
    for prefix, label, colour, dash in sides if len(epochs) else ():
        figure.add_scatter(
            x=epochs["epoch"],
            y=epochs[prefix + name],
            name=label,
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            hovertemplate="epoch %{x}: %{y:.4f}<extra>" + label + "</extra>",
        )
    return finish_figure(figure, title, "Epoch", y_title)
