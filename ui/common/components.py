"""Which blocks do several pages show: headings, notices, progress, downloads, figures, paging?"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cxr_core.classes import class_label
from cxr_core.config import NOTICE
from cxr_core.evaluation.metrics import Metrics, report_with_intervals
from cxr_core.plots.style import figure_words
from cxr_core.plots.training import history_figures
from cxr_core.runs.overview import kept_epoch
from cxr_core.runs.run import Run
from cxr_core.system.files import why_not_written
from cxr_core.system.progress import Progress, Turns
from cxr_core.system.text import table_csv
from ui.common.markdown import Markdown, plain_text, without_paths
from ui.common.metrics import look_once
from ui.common.navigation import ensure_navigation, screen
from ui.common.permissions import is_open_to_strangers

if TYPE_CHECKING:
    import plotly.graph_objects as go

# As many as have a core each.
_TURNS = Turns(min(4, os.cpu_count() or 1))
# Before that the pace of work is that of its beginning.
_TELLS_PACE_SECONDS = 2.0
# Of a table that may have one for each image, the browser is sent so many.
_FIRST_ROWS, _NAME_PIXELS = 1_000, 140
# Up to so many rows are shown with all columns in sight; from so many on, they scroll under their titles.
_SHORT_ROWS, _SCROLLED_ROWS, _SCROLLED_PIXELS = 100, 20, 480
_EPOCH_TITLES = {
    "loss": "training loss", "accuracy": "training accuracy", "val_loss": "validation loss",
    "val_accuracy": "validation accuracy", "learning_rate": "learning rate", "epoch_seconds": "seconds",
    "images_per_second": "images/s",
}  # fmt: skip
Items = TypeVar("Items", list, pd.DataFrame)


def page_header(title: Markdown, sentence: Markdown) -> None:
    """Show a page's title and one sentence: the question that the page answers."""
    ensure_navigation()
    st.title(title)
    st.markdown(sentence)


def plain_error(error: Exception) -> Markdown:
    """Return what an exception says, as plain text; where the installation is shared, without a path of its server."""
    sentence = str(error)
    if isinstance(error, OSError) and error.strerror:
        # Of a failed system call, the cause alone: its text names the file. What may not be opened need not be written.
        sentence = (not isinstance(error, PermissionError) and why_not_written(error)) or error.strerror
    return plain_text(without_paths(sentence) if is_open_to_strangers() else sentence)


def research_notice() -> None:
    """Say that this is not a medical device."""
    st.warning(NOTICE, icon=":material/science:")


@contextmanager
def progress_bars(steps: Sequence[str] = ()) -> Iterator[Callable[[str], Progress]]:
    """Show one progress bar after the other for work that may take over a second; they vanish when it is done.

    The work of several visitors takes turns; whoever waits reads how many are ahead.

    Args:
        steps: names of all that is still to come and has been, of which this work is a part; each is shown with its
            number.

    Yields:
        A `Phase`: called with the name of what begins, it starts a bar and returns what to report progress to.
    """
    place = st.empty()

    def tell(ahead: int) -> None:
        place.info(
            f"The computer is busy with the work of other visits. Ahead of yours: {ahead:,}. It goes on by itself."
        )

    try:
        # Moves, too, while the work has nothing to report.
        with st.spinner("Working…", show_time=True), _TURNS.taken(tell) as next_turn:

            def phase(name: str) -> Progress:
                number = f"Step {steps.index(name) + 1:d} of {len(steps):d}. " if name in steps else ""
                shown, begun = f"{number}{plain_text(name)}", time.monotonic()
                place.progress(0.0, shown)

                def report(done: int, total: int, /) -> None:
                    next_turn()
                    left = time_left(done, total, time.monotonic() - begun)
                    place.progress(done / total, f"{shown}: {done:,} of {total:,}{left}")

                return report

            yield phase
    finally:
        place.empty()


def time_left(done: int, total: int, seconds: float) -> Markdown:
    """Say how long something still takes at its pace so far, as ", about 20 s left"; "" while that cannot be told."""
    if not 0 < done < total or seconds < _TELLS_PACE_SECONDS:
        return ""
    left = seconds * (total - done) / done
    if left < 90:
        return f", about {max(5, 5 * round(left / 5)):d} s left"
    return f", about {round(left / 60):d} min left"


@contextmanager
def progress_bar(name: str) -> Iterator[Progress]:
    """Show one progress bar; yields what to report progress to."""
    with progress_bars() as phase:
        yield phase(name)


def show_figure(figure: "go.Figure", key: str | None = None) -> None:
    """Show a plotly figure at the page's width, in the page's theme, without a toolbar over its title.

    Its text alternative is what `figure_words` says of it.
    """
    st.plotly_chart(figure, width="stretch", key=key, config={"displayModeBar": False}, alt=figure_words(figure))


def show_short_table(
    table: pd.DataFrame, *, formats: Mapping[str, Callable[[Any], str]] | None = None, **options: Any
) -> None:
    """Show rows whole, long words broken, as `st.table` does; it would read their texts as Markdown.

    Args:
        table: at most some ten rows.
        formats: {column: writes one of its numbers}; an empty cell is a dash.
        **options: as for `st.table`.
    """
    # A sign of its own on the next line would be read with the row below.
    texts = table.map(_plain_cell)
    texts = texts.rename(index=_plain_title, columns=_plain_title)
    written: dict[Any, str | Callable[[Any], str] | None] = {name: "{:.0f}" for name in texts if _counts(texts[name])}
    written |= {_plain_title(name): write for name, write in (formats or {}).items()}
    st.table(texts.style.format(written, precision=3, na_rep="–") if len(texts) else texts, **options)


def _counts(column: pd.Series) -> bool:
    """Return True for whole numbers that empty cells have made decimals."""
    return pd.api.types.is_float_dtype(column) and bool((column.dropna() % 1 == 0).all())


def _plain_cell(cell: Any) -> Any:
    return plain_text(cell).replace(" %", "\N{NO-BREAK SPACE}%") if isinstance(cell, str) else cell


def _plain_title(title: Any) -> Any:
    return plain_text(title) if isinstance(title, str) else title


def show_first_rows(table: pd.DataFrame, what: Markdown, *, phone: Sequence[str] = ()) -> None:
    """Show the first rows of a table that may be long, and say of how many; a download beside it holds them all.

    Args:
        table: its index is not shown.
        what: the rows are, in the plural.
        phone: columns that a phone shows; all by default.
    """
    st.dataframe(
        table.head(_FIRST_ROWS),
        width="stretch",
        placeholder="–",
        height=280,
        hide_index=True,
        column_order=phone if phone and screen() == "phone" else None,
        # Its longest names would push the other columns out of sight; a wide page widens it again.
        column_config={"file": st.column_config.Column(width=_NAME_PIXELS)},
    )
    if len(table) > _FIRST_ROWS:
        st.caption(f"The first {_FIRST_ROWS:,} of {len(table):,} {what}; the download contains all of them.")


def show_table(
    table: pd.DataFrame,
    *,
    percents: Iterable[str] = (),
    formats: Mapping[str, str] | None = None,
    phone: Sequence[str] = (),
) -> None:
    """Show a table at the page's width, with equal decimals down each column and a dash in empty cells.

    All columns of a table of few rows are in sight, on a phone, too. Of a longer one the first column stays in sight
    where the others are wider than the page.

    Args:
        table: its index is not shown. Of columns `low` and `high`, which hold the ends of 95 % intervals of
            proportions, one column tells.
        percents: columns that hold proportions in [0, 1]; names that the table lacks are left out.
        formats: {column: how its numbers are written, as for printf}.
        phone: columns that a phone shows; all by default.
    """
    if phone and screen() == "phone":
        table = table[list(phone)]
    if {"low", "high"} <= set(table):
        ends = zip(table["low"], table["high"], strict=True)
        texts = [None if pd.isna(low) else f"{100 * low:.1f} to {100 * high:.1f} %" for low, high in ends]
        table = table.assign(low=pd.Series(texts, table.index, dtype=object)).drop(columns="high")
        table = table.rename(columns={"low": "95 % interval"})
    shares = [name for name in percents if name in table]
    shown = table.assign(**{name: 100 * pd.to_numeric(table[name]) for name in shares})
    written = dict.fromkeys(shares, "%.1f %%") | dict(formats or {})
    if len(shown) <= _SHORT_ROWS:
        show_short_table(
            shown,
            formats={name: text.__mod__ for name, text in written.items()},
            hide_index=True,
            height=_SCROLLED_PIXELS if len(shown) > _SCROLLED_ROWS else "content",
        )
        return
    config: dict[Any, Any] = {name: st.column_config.NumberColumn(format=text) for name, text in written.items()}
    config = {name: st.column_config.Column(pinned=True) for name in list(table)[:1]} | config
    st.dataframe(shown, width="stretch", hide_index=True, placeholder="–", column_config=config)


def show_report(metrics: Metrics, *left_out: str) -> None:
    """Show metrics and number of images of each class, with intervals; some metrics may be left out."""
    report = report_with_intervals(metrics).drop(columns=list(left_out))
    titles = {"f1": "F1", "auc": "AUC", "support": "images"}
    show_short_table(report.rename(index=class_label, columns=titles).rename_axis("class"))


def show_history(epochs: pd.DataFrame, batches: pd.DataFrame | None = None) -> None:
    """Show loss, accuracy and learning rate of a training side by side; on a narrow screen, one below the other.

    The epoch that is kept is marked. A table holds the same values, for those who cannot hover over a curve.
    """
    figures = history_figures(epochs, batches, kept=kept_epoch(epochs))
    for i, (column, figure) in enumerate(zip(st.columns(3), figures, strict=True)):
        with column:
            show_figure(figure, key=f"history_{i}")
    if len(epochs):
        with st.expander("These values as a table"):
            show_table(
                epochs.rename(columns=_EPOCH_TITLES),
                percents=("training accuracy", "validation accuracy"),
                formats={
                    "training loss": "%.4f", "validation loss": "%.4f", "learning rate": "%.2e", "seconds": "%.1f",
                    "images/s": "%.0f",
                },
                phone=("epoch", "training accuracy", "validation accuracy", "validation loss"),
            )  # fmt: skip


def duration(seconds: float | None) -> Markdown:
    """Return "mm:ss", or "hh:mm:ss" from an hour on; a dash for None."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes:02d}:{rest:02d}"


def download_table(label: Markdown, table: pd.DataFrame, file_name: str, *, index: bool = False) -> None:
    """Offer a table as CSV, written when somebody clicks."""
    offer_download(
        label,
        lambda: table_csv(table, index=index).encode(),
        file_name,
        "text/csv",
        help="A CSV file, for a spreadsheet or pandas.",
    )


def offer_download(
    label: Markdown,
    data: str | bytes | Callable[[], str | bytes],
    file_name: str,
    mime: str,
    *,
    help: Markdown,
    icon: str = ":material/download:",
    place: DeltaGenerator | None = None,
) -> None:
    """Offer a file; the page does not rerun for it, which would discard what the click is still waiting for.

    Args:
        label: of the button.
        data: the file's content, or a callable that makes it when somebody clicks.
        file_name: suggested to the browser.
        mime: type of the content.
        help: tooltip of the button.
        icon: Streamlit's name of it.
        place: container to stand in; the page itself by default.
    """
    (place or st).download_button(label, data, file_name, mime, icon=icon, help=help, on_click="ignore")


def offer_report(
    folder: Path,
    label: Markdown,
    name: str = "report.html",
    mime: str = "text/html",
    *,
    help: Markdown = "Opens in any browser, also offline.",
) -> None:
    """Offer a classifier's report, made when somebody clicks; that counts as a look at its test side.

    Args:
        folder: of the classifier.
        label: of the button.
        name: one of `model_report.REPORT_FILES`.
        mime: type of its content.
        help: what distinguishes this form of the report.
    """

    def content() -> bytes:
        # Takes a while to load, and most visits never need it.
        from cxr_core.reporting.model_report import REPORT_FILES, render_report, report_facts

        look_once([Run(folder)], "report")
        return render_report(report_facts(folder), REPORT_FILES[name]).encode()

    offer_download(
        label,
        content,
        f"{folder.name}-{name}",
        mime,
        icon=":material/description:",
        help=f"{help} Made from what is stored with the classifier, following the CLAIM checklist.",
    )


def one_page(items: Items, per_page: int, key: str) -> Items:
    """Show the pages to choose from where there are several, and return the items of the chosen page.

    Args:
        items: all of them.
        per_page: how many a page holds.
        key: of the control.
    """
    pages = max(1, -(-len(items) // per_page))
    number = 1
    if pages > 1:
        with st.container(horizontal=True, vertical_alignment="center"):
            number = st.pagination(pages, key=key)
            st.caption(f"{per_page} per page, {len(items):,} in total.")
    start = (number - 1) * per_page
    return items[start : start + per_page]
