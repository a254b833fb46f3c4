"""Blocks that several pages show: headings, notices, progress, downloads, figures."""

from contextlib import contextmanager

import streamlit as st

from cxr_core.config import NOTICE
from cxr_core.figures import history_figures
from ui.navigation import ensure_navigation


def page_header(title, sentence):
    """Show a page's title and the one sentence that says what it answers."""
    ensure_navigation()
    st.title(title)
    st.markdown(sentence)


def research_notice():
    """Say that this is no medical device."""
    st.warning(NOTICE, icon=":material/science:")


@contextmanager
def progress_bar(text):
    """Show a bar for work that may take over a second; it vanishes when the work is done.

    Yields:
        callable(done, total).
    """
    place = st.empty()

    def report(done, total):
        if done < total:
            place.progress(done / total, f"{text}: {done:,} of {total:,}")

    try:
        yield report
    finally:
        place.empty()


def show_figure(figure, key=None):
    """Show a plotly figure at the page's width, in the page's theme."""
    st.plotly_chart(figure, width="stretch", key=key, config={"displaylogo": False})


def show_history(epochs, batches=None):
    """Show a learning history as three figures side by side, below each other on a narrow screen."""
    for i, (column, figure) in enumerate(zip(st.columns(3), history_figures(epochs, batches), strict=True)):
        with column:
            show_figure(figure, key=f"history_{i}")


def show_figures_row(figures):
    """Show card figures as a row of metrics, each with the number of images behind it."""
    for column, figure in zip(st.columns(len(figures)), figures, strict=True):
        help_text = f"{figure.explanation} {figure.n} images."
        column.metric(
            figure.label,
            f"{figure.value:.1%}",
            figure.where,
            delta_color="off",
            delta_arrow="off",
            help=help_text,
            border=True,
        )


def download_table(label, table, file_name, *, index=False):
    """Offer a table as CSV."""
    st.download_button(
        label,
        table.to_csv(index=index).encode(),
        file_name,
        "text/csv",
        icon=":material/download:",
        help="Comma-separated values, for a spreadsheet or pandas.",
    )
