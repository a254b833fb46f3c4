"""How is a number shown with its interval, and which test scores has this visit shown?"""

from collections import Counter
from collections.abc import Iterable, Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cxr_core.evaluation.headline_metrics import HeadlineMetric
from cxr_core.runs.looks import record_looks
from cxr_core.runs.run import Run
from cxr_core.system.text import percent
from ui.common.markdown import Markdown, plain_label, plain_text


def show_figures_row(figures: Sequence[HeadlineMetric]) -> None:
    """Show headline metrics side by side, each with its 95 % interval and the number of images behind it."""
    for column, figure in zip(st.columns(len(figures)), figures, strict=True):
        with column.container(border=True, height="stretch"):
            st.metric(
                plain_text(figure.label),
                percent(figure.value),
                help=f"{plain_text(figure.explanation)} {figure.n:,} images."
                + (" Below, its 95 % interval." if figure.interval else ""),
            )
            # A hospital's name needs more than the one line that a metric gives it.
            st.caption(plain_text(figure.where))
            st.caption(interval_text(figure.interval))
    if any(figure.may_abstain for figure in figures):
        st.caption(
            "On its own test set it always names the likeliest class. On images from elsewhere it may abstain; "
            "abstentions count neither as hits nor as false alarms."
        )


def images_text(n: int) -> Markdown:
    """Return a number of images in words: "1 image", "1,234 images"."""
    return f"{n:,} image" if n == 1 else f"{n:,} images"


def class_counts_text(class_names: Iterable[str]) -> Markdown:
    """Return how many images each class has, in words: "12 Normal, 3 Viral"; the largest first."""
    return ", ".join(f"{n:,} {plain_label(name)}" for name, n in Counter(class_names).most_common())


def interval_text(ends: Sequence[float] | None) -> Markdown:
    """Return a 95 % interval (low, high) of a proportion in [0, 1] in words, or "" for None."""
    return f"95 %: {100 * ends[0]:.1f} to {100 * ends[1]:.1f} %" if ends else ""


def plain_metric(
    column: DeltaGenerator, label: Markdown, value: Markdown, below: Markdown = "", *, help: Markdown
) -> None:
    """Show one metric in a border, with a grey line below the number."""
    column.metric(
        label, value, below or None, delta_color="off", delta_arrow="off", border=True, help=help, height="stretch"
    )


def look_once(runs: Iterable[Run], where: str) -> None:
    """Count a look at the test side of each run, unless this visit has counted it in this place."""
    counted: set[tuple[str, str]] = st.session_state.setdefault("test_looks", set())
    new = [run for run in runs if (str(run.path), where) not in counted]
    record_looks(new, where)
    counted |= {(str(run.path), where) for run in new}
