"""How a number is shown with its interval."""

import streamlit as st


def show_figures_row(figures):
    """Show card figures as a row of metrics, each with its 95 % interval and the number of images behind it."""
    for column, figure in zip(st.columns(len(figures)), figures, strict=True):
        with column.container(border=True, height="stretch"):
            st.metric(
                figure.label,
                f"{figure.value:.1%}",
                figure.where,
                delta_color="off",
                delta_arrow="off",
                help=f"{figure.explanation} {figure.n} images."
                + (" Below, its 95 % interval." if figure.interval else ""),
            )
            if figure.interval:
                st.caption(interval_text(figure.interval))
    if any(figure.may_abstain for figure in figures):
        st.caption(
            "On its own test split each image is called what is likeliest. Elsewhere images that it is not sure of "
            "count as without an answer: neither found nor a false alarm."
        )


def interval_text(ends):
    """Return a 95 % interval of shares (low, high) in words, or "" for None."""
    return f"95 %: {100 * ends[0]:.1f} to {100 * ends[1]:.1f} %" if ends else ""


def plain_metric(column, label, value, below="", *, help):
    """Show one bordered metric with a grey line below it."""
    column.metric(
        label, value, below or None, delta_color="off", delta_arrow="off", border=True, help=help, height="stretch"
    )
