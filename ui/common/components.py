"""Blocks that several pages show: headings, notices, progress, downloads, figures."""

from contextlib import contextmanager

import streamlit as st

from cxr_core.config import NOTICE
from cxr_core.plots.training import history_figures
from ui.common.navigation import ensure_navigation


def page_header(title, sentence):
    """Show a page's title and the one sentence that says what it answers."""
    ensure_navigation()
    st.title(title)
    st.markdown(sentence)


def research_notice():
    """Say that this is no medical device."""
    st.warning(NOTICE, icon=":material/science:")


@contextmanager
def progress_bars():
    """Show one bar after the other for work that may take over a second; they vanish when it is done.

    Yields:
        callable(name) that starts a bar and returns a callable(done, total) to report to.
    """
    place = st.empty()

    def phase(name):
        place.progress(0.0, name)

        def report(done, total):
            place.progress(done / total, f"{name}: {done:,} of {total:,}")

        return report

    try:
        yield phase
    finally:
        place.empty()


@contextmanager
def progress_bar(name):
    """Show one bar; yields the callable(done, total) to report to."""
    with progress_bars() as phase:
        yield phase(name)


def show_figure(figure, key=None):
    """Show a plotly figure at the page's width, in the page's theme."""
    st.plotly_chart(figure, width="stretch", key=key, config={"displaylogo": False})


def show_history(epochs, batches=None):
    """Show a learning history as three figures side by side, below each other on a narrow screen."""
    for i, (column, figure) in enumerate(zip(st.columns(3), history_figures(epochs, batches), strict=True)):
        with column:
            show_figure(figure, key=f"history_{i}")


def duration(seconds):
    """Return seconds as minutes and seconds, from an hour on with hours; a dash for None."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes:02d}:{rest:02d}"


def download_table(label, table, file_name, *, index=False):
    """Offer a table as CSV, made when somebody asks for it."""
    offer_download(
        label,
        lambda: table.to_csv(index=index).encode(),
        file_name,
        "text/csv",
        help="Comma-separated values, for a spreadsheet or pandas.",
    )


def offer_download(label, data, file_name, mime, *, help, icon=":material/download:", place=st):
    """Offer a file.

    The page does not run again for it: that would take away what the click is still waiting for.

    Args:
        label, file_name, mime, help, icon: str.
        data: str or bytes, or a callable that makes them when somebody clicks.
        place: container to stand in.
    """
    place.download_button(label, data, file_name, mime, icon=icon, help=help, on_click="ignore")


def one_page(items, per_page, key):
    """Return the items of the page a person has turned to, with the control below the heading.

    Args:
        items: a sequence or DataFrame.
        per_page: int.
        key: str, of the control.
    """
    pages = max(1, -(-len(items) // per_page))
    number = 1
    if pages > 1:
        number = st.number_input(
            f"Page (of {pages:,})",
            1,
            pages,
            1,
            key=key,
            width=180,
            help=f"{per_page} at a time, {len(items):,} in all.",
        )
    start = (number - 1) * per_page
    return items[start : start + per_page]
