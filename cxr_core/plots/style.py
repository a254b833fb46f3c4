"""Plotly figures: each takes numbers that are already computed and only draws them."""

import plotly.graph_objects as go

from cxr_core.classes import class_colours, class_label

_DASHES = {"micro": ("Micro average", "#CC79A7", "dot"), "macro": ("Macro average", "#999999", "dash")}
_COLOUR_SCALES = {"jet": "Jet", "inferno": "Inferno"}


def class_count_figure(counts):
    """Draw images per class.

    Args:
        counts: dict of class name to int.

    Returns:
        plotly Figure.
    """
    colours = class_colours(list(counts))
    figure = go.Figure(
        go.Bar(
            x=[class_label(c) for c in counts],
            y=list(counts.values()),
            text=list(counts.values()),
            marker_color=[colours[c] for c in counts],
            hovertemplate="%{x}: %{y} images<extra></extra>",
        )
    )
    return finish_figure(figure, "Images per class", "Class", "Images")


def size_scatter_figure(table):
    """Draw width against height, one mark per picture; hover names the file.

    Args:
        table: DataFrame with `class_name`, `width`, `height`, `file`.
    """
    figure = go.Figure()
    colours = class_colours(list(table["class_name"].unique()))
    symbols = ("circle", "diamond", "square", "cross", "x", "triangle-up")
    for i, (name, rows) in enumerate(table.groupby("class_name", sort=False)):
        figure.add_scattergl(
            x=rows["width"],
            y=rows["height"],
            mode="markers",
            name=class_label(name),
            text=rows["file"],
            marker={"color": colours[name], "symbol": symbols[i % len(symbols)], "opacity": 0.6, "size": 7},
            hovertemplate="%{text}<br>%{x} × %{y} pixels<extra></extra>",
        )
    return finish_figure(figure, "Picture sizes", "Width in pixels", "Height in pixels")


def grey_histogram_figure(shares, title="Grey values per class"):
    """Draw grey-value histograms.

    Args:
        shares: DataFrame of 256 rows, one column per class or step: share of pixels.
        title: str.
    """
    figure = go.Figure()
    colours = class_colours(list(shares.columns))
    for name in shares.columns:
        figure.add_scatter(
            x=shares.index,
            y=100 * shares[name],
            name=class_label(name),
            line={"color": colours[name]},
            hovertemplate="grey %{x}: %{y:.2f} % of pixels<extra>" + class_label(name) + "</extra>",
        )
    return finish_figure(figure, title, "Grey value (0 black, 255 white)", "Share of pixels in %")


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
    colours = class_colours([c for c in curves if c not in _DASHES])
    for name, band in (bands or {}).items():
        add_band(figure, band, colours[name])
    for name, curve in curves.items():
        label, colour, dash = _DASHES.get(name) or (class_label(name), colours[name], "solid")
        figure.add_scatter(
            x=curve["fpr"],
            y=curve["tpr"],
            name=f"{label}, AUC {curve['auc']:.3f}",
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2},
            hovertemplate=label + ": %{y:.3f} found at %{x:.3f} false alarms<extra></extra>",
        )
        if clickable and name not in _DASHES:
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


def history_figures(epochs, batches=None):
    """Draw loss, accuracy and learning rate over epochs, with batches as a thin line.

    Args:
        epochs: DataFrame as `run.Run.epochs` returns, possibly empty.
        batches: DataFrame as `run.Run.batches` returns, or None.

    Returns:
        list of three plotly Figures.
    """
    curves = (("loss", "Loss", "Cross-entropy"), ("accuracy", "Accuracy", "Share right"))
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
    figures.append(finish_figure(rate, "Learning rate", "Epoch", "Adam's step size"))
    for figure in figures:
        figure.update_xaxes(rangemode="tozero")
        figure.update_layout(height=340)
    return figures


def _curve_figure(epochs, batches, name, title, y_title):
    figure = go.Figure()
    if batches is not None and len(batches):
        # A batch's place within its epoch; the running epoch's length is that of the longest so far.
        position = batches["epoch"] - 1 + batches["batch"] / batches["batch"].max()
        figure.add_scatter(
            x=position,
            y=batches[name],
            name="Within the epoch",
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


def probability_figure(classes, probabilities):
    """Draw one bar per class.

    Args:
        classes: sequence of str (C,).
        probabilities: float (C,).
    """
    colours = class_colours(list(classes))
    figure = go.Figure(
        go.Bar(
            x=[100 * float(p) for p in probabilities],
            y=[class_label(c) for c in classes],
            orientation="h",
            text=[f"{p:.1%}" for p in probabilities],
            textposition="auto",
            marker_color=[colours[c] for c in classes],
            hovertemplate="%{y}: %{x:.2f} %<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(range=[0, 100])
    finish_figure(figure, "The classifier's probabilities", "Probability in %", "Class")
    return figure.update_layout(height=70 + 50 * len(classes), showlegend=False)


def colour_bar_figure(colour_map):
    """Draw the colour bar that belongs to an overlay.

    Args:
        colour_map: "jet" or "inferno".
    """
    values = [i / 255 for i in range(256)]
    figure = go.Figure(
        go.Heatmap(x=values, z=[values], colorscale=_COLOUR_SCALES[colour_map], showscale=False, hoverinfo="skip")
    )
    figure.update_yaxes(visible=False)
    figure.update_xaxes(title_text="Pull on the class: 0 none, 1 strongest in this picture", tickvals=[0, 0.5, 1])
    return figure.update_layout(height=72, margin={"l": 10, "r": 10, "t": 0, "b": 52})


_LEGEND_BELOW = {"orientation": "h", "yanchor": "top", "y": -0.25, "x": 0}


def finish_figure(figure, title, x_title, y_title):
    """Give a figure the titles and the layout that all figures here share; returns it."""
    figure.update_layout(
        title=title,
        xaxis_title=x_title,
        yaxis_title=y_title,
        height=380,
        margin={"l": 10, "r": 10, "t": 50, "b": 10},
        legend=_LEGEND_BELOW,
    )
    return figure
