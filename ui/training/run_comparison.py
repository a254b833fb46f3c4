"""How do several runs compare: all in a table, their curves and settings; and how is one cloned or deleted?"""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from cxr_core.plots.training import QUANTITIES, overlay_figure
from cxr_core.recipes.training_config import TrainingConfig
from cxr_core.runs.labels import RunLabel, display_name, load_label, save_label
from cxr_core.runs.lifecycle import delete_run
from cxr_core.runs.overview import runs_table
from cxr_core.runs.run import Run
from cxr_core.runs.settings_diff import setting_differences
from ui.common.components import download_table, offer_report, plain_error, show_figure
from ui.common.markdown import plain_name, without_paths
from ui.common.metrics import look_once
from ui.common.navigation import screen
from ui.common.permissions import is_open_to_strangers, may, show_refusal

_OWN = {"compare": False, "star": False, "name": "", "note": ""}
# Ticked at first: the newest.
_COMPARED = 2
_NARROW_COLUMNS: dict[str, tuple[str, ...]] = {
    "phone": ("compare", "validation accuracy", "test accuracy", "run"),
    "tablet": ("compare", "star", "validation accuracy", "test accuracy", "name", "run"),
}
_TICK, _NARROW = 80, 110


def show_runs(runs: Sequence[Run]) -> None:
    """Show the table of all runs, newest first, and what can be done with the ticked ones: at first the newest two."""
    labels = {run.name: load_label(run) for run in runs}
    with_test = _ask_for_test(runs)
    table = _labelled(runs_table(runs, with_test=with_test), labels)
    shown = _filtered(table)
    shown = shown.assign(**{name: 100 * pd.to_numeric(shown[name]) for name in _accuracies(shown)})
    may_edit = may("keeping")
    editable = list(_OWN) if may_edit else ["compare"]
    edited = st.data_editor(
        shown,
        width="stretch",
        placeholder="–",
        hide_index=True,
        disabled=[c for c in shown.columns if c not in editable],
        key="runs_editor",
        column_order=[c for c in shown if c in narrow] if (narrow := _NARROW_COLUMNS.get(screen())) else None,
        column_config=_columns(shown),
    )
    # A browser can send changes of disabled columns.
    if may_edit:
        _keep_labels(edited, labels, runs)
    st.caption("Click a column header to sort" + ("; double-click a name or note to edit it." if may_edit else "."))
    download_table("Download this table", table.drop(columns="compare"), "runs.csv")
    ticked = edited.loc[edited["compare"], "run"].tolist()
    chosen = [run for run in runs if run.name in ticked]
    if not chosen:
        st.info("Tick runs in the first column to compare their curves and settings, or to clone or delete a run.")
        return
    _offer_reports(chosen)
    _show_curves(chosen)
    _show_settings(chosen)
    _offer_clone_and_delete(chosen)


def _ask_for_test(runs: Sequence[Run]) -> bool:
    """Ask whether to show the test accuracies; showing them counts as a look at each test side."""
    wanted = st.toggle(
        "Show test accuracy",
        key="runs_test",
        help="Choose among runs by validation. Each time that test accuracies are shown is counted beside the split of "
        "every run, and reports say how often.",
    )
    if wanted:
        look_once(runs, "runs table")
    return wanted


def _accuracies(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns if "accuracy" in name]


def _columns(shown: pd.DataFrame) -> dict[str, Any]:
    tick, width = (None, None) if screen() == "wide" else (_TICK, _NARROW)
    percent = {c: st.column_config.NumberColumn(format="%.1f %%", width=width) for c in _accuracies(shown)}
    return percent | {
        "compare": st.column_config.CheckboxColumn(
            "compare", help="Tick runs to show their curves in one plot.", width=tick
        ),
        "star": st.column_config.CheckboxColumn("star", help="Mark important runs."),
        "name": st.column_config.TextColumn(
            "name", help="Your own name for the run; its folder keeps its name.", max_chars=80, width=width
        ),
        "run": st.column_config.TextColumn("run", width=width),
        "note": st.column_config.TextColumn("note", help="Your own note.", max_chars=500),
    }


def _labelled(table: pd.DataFrame, labels: dict[str, RunLabel]) -> pd.DataFrame:
    own = [
        {
            "compare": len(table) > 1 and i < _COMPARED,
            "star": labels[name].star,
            "name": labels[name].name,
            "note": labels[name].note,
        }
        for i, name in enumerate(table["run"])
    ]
    table = pd.concat([pd.DataFrame(own), table], axis=1)
    first = ["compare", "star", *_accuracies(table), "name", "run", "state", "note"]
    return table[first + [c for c in table.columns if c not in first]]


def _filtered(table: pd.DataFrame) -> pd.DataFrame:
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    text = left.text_input(
        "Filter", key="runs_filter", placeholder="quick, failed, a name…", help="Shows the rows that contain this text."
    )
    starred = right.toggle("Only starred", key="runs_starred", help="Shows only rows with a star.")
    rows = (
        table.drop(columns=["compare", "star"])
        .map(str)
        .agg(" ".join, axis=1)
        .str.contains(text, case=False, regex=False)
    )
    return table[rows & (table["star"] if starred else True)].reset_index(drop=True)


def _keep_labels(edited: pd.DataFrame, labels: dict[str, RunLabel], runs: Sequence[Run]) -> None:
    by_name = {run.name: run for run in runs}
    changed = False
    for row in edited[["run", "name", "note", "star"]].to_dict("records"):
        name, note = (row["name"] or "").strip(), (row["note"] or "").strip()
        label = RunLabel(name=name, note=note, star=bool(row["star"]))
        if label != labels[row["run"]]:
            save_label(by_name[row["run"]], label)
            changed = True
    if changed:
        st.rerun()


def _show_curves(runs: Sequence[Run]) -> None:
    st.header("Curves", help="Of the ticked runs, per epoch.")
    quantity = st.segmented_control(
        "Curve",
        list(QUANTITIES),
        default="val_accuracy",
        required=True,
        format_func=lambda name: QUANTITIES[name][0],
        help="The metric to plot.",
    )
    histories = {display_name(run): run.epochs() for run in runs}
    if any(len(epochs) for epochs in histories.values()):
        show_figure(overlay_figure(histories, quantity or "val_accuracy"), key="overlaid_curves")
    else:
        st.info("None of these runs has finished an epoch yet.")


def _show_settings(runs: Sequence[Run]) -> None:
    configs = {display_name(run): config for run, config in _readable(runs)}
    if len(configs) < 2:
        return
    st.header("Settings that differ", help="All other settings are the same. Written as for `--set`.")
    table = setting_differences(configs)
    if len(table):
        if is_open_to_strangers():
            table = table.map(lambda text: without_paths(text) if isinstance(text, str) else text)
        st.dataframe(table.rename_axis("setting"), width="stretch", placeholder="–")
    else:
        st.success("These runs have the same settings.")


def _readable(runs: Sequence[Run]) -> Iterator[tuple[Run, TrainingConfig]]:
    for run in runs:
        try:
            yield run, run.config()
        except (FileNotFoundError, ValueError):
            continue


def _offer_reports(runs: Sequence[Run]) -> None:
    with st.container(horizontal=True):
        for run in runs:
            if run.has_model:
                offer_report(run.path, f"Report of {plain_name(display_name(run))} (HTML)")


def _offer_clone_and_delete(runs: Sequence[Run]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if (
            len(runs) == 1
            and may("training")
            and st.button(
                "Clone settings", icon=":material/content_copy:", help="Fills in the form for a new training run."
            )
        ):
            st.session_state["cloned_run"] = runs[0].name
            st.session_state["just_cloned"] = True
            st.session_state["clones"] = st.session_state.get("clones", 0) + 1
            st.rerun()
        count = "this run" if len(runs) == 1 else f"these {len(runs)} runs"
        if show_refusal("deletion"):
            return
        with st.popover(f"Delete {count}", icon=":material/delete:", help="Asks for confirmation first."):
            names = ", ".join(plain_name(display_name(run)) for run in runs)
            st.write(f"This deletes {names} permanently, with model and history.")
            if st.button("Delete permanently", type="primary", help="This cannot be undone."):
                _delete(runs)


def _delete(runs: Sequence[Run]) -> None:
    problems = []
    for run in runs:
        try:
            delete_run(run)
        except ValueError as error:
            problems.append(plain_error(error))
    if problems:
        st.error(" ".join(problems))
    else:
        st.rerun()
