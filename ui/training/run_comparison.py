"""Look at several runs at once: the table of all, their curves, their settings; clone or delete one."""

import pandas as pd
import streamlit as st

from cxr_core.plots.training import QUANTITIES, overlay_figure
from cxr_core.runs.labels import RunLabel, delete_run, display_name, load_label, save_label
from cxr_core.runs.overview import runs_table
from cxr_core.runs.settings_diff import setting_differences
from ui.common.components import download_table, show_figure
from ui.common.markdown import plain_name
from ui.common.permissions import may, show_refusal

_OWN = {"compare": False, "star": False, "name": "", "note": ""}


def show_runs(runs):
    """Show the table of all runs, and what can be done with those that are ticked.

    Args:
        runs: list of run.Run, not empty.
    """
    labels = {run.name: load_label(run) for run in runs}
    table = _labelled(runs_table(runs), labels)
    shown = _filtered(table)
    may_edit = may("keeping")
    editable = list(_OWN) if may_edit else ["compare"]
    shares = {c: st.column_config.NumberColumn(format="percent") for c in shown.columns if "accuracy" in c}
    edited = st.data_editor(
        shown,
        width="stretch",
        hide_index=True,
        disabled=[c for c in shown.columns if c not in editable],
        key="runs_editor",
        column_config=shares
        | {
            "compare": st.column_config.CheckboxColumn(
                "compare", help="Tick runs to lay their curves over each other."
            ),
            "star": st.column_config.CheckboxColumn("star", help="Mark the runs that matter."),
            "name": st.column_config.TextColumn(
                "name", help="What you call it; its folder keeps its name.", max_chars=80
            ),
            "note": st.column_config.TextColumn("note", help="For you and others.", max_chars=500),
        },
    )
    # A browser can send changes of columns that are only greyed out.
    if may_edit:
        _keep_labels(edited, labels, runs)
    st.caption("Click a column's head to sort" + ("; double-click a name or a note to change it." if may_edit else "."))
    download_table("Download this table", table.drop(columns="compare"), "runs.csv")
    ticked = edited.loc[edited["compare"], "run"].tolist()
    chosen = [run for run in runs if run.name in ticked]
    if not chosen:
        st.info("Tick runs in the first column to compare their curves and settings, to clone or to delete one.")
        return
    _show_curves(chosen)
    _show_settings(chosen)
    _offer_clone_and_delete(chosen)


def _labelled(table, labels):
    own = [
        {"compare": False, "star": labels[name].star, "name": labels[name].name, "note": labels[name].note}
        for name in table["run"]
    ]
    table = pd.concat([pd.DataFrame(own), table], axis=1)
    first = ["compare", "star", "name", "run", "state", "note"]
    return table[first + [c for c in table.columns if c not in first]]


def _filtered(table):
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    text = left.text_input(
        "Filter", key="runs_filter", placeholder="quick, failed, a name…", help="Shows rows that hold these letters."
    )
    starred = right.toggle("Only starred", key="runs_starred", help="Shows the rows with a star.")
    rows = (
        table.drop(columns=["compare", "star"])
        .map(str)
        .agg(" ".join, axis=1)
        .str.contains(text, case=False, regex=False)
    )
    return table[rows & (table["star"] if starred else True)].reset_index(drop=True)


def _keep_labels(edited, labels, runs):
    by_name = {run.name: run for run in runs}
    changed = False
    for row in edited.itertuples():
        label = RunLabel(name=(row.name or "").strip(), note=(row.note or "").strip(), star=bool(row.star))
        if label != labels[row.run]:
            save_label(by_name[row.run], label)
            changed = True
    if changed:
        st.rerun()


def _show_curves(runs):
    st.subheader("Curves", help="Of the ticked runs, epoch by epoch.")
    quantity = st.segmented_control(
        "Curve",
        list(QUANTITIES),
        default="val_accuracy",
        format_func=lambda name: QUANTITIES[name][0],
        help="What to lay over each other.",
    )
    histories = {display_name(run): run.epochs() for run in runs}
    if any(len(epochs) for epochs in histories.values()):
        show_figure(overlay_figure(histories, quantity or "val_accuracy"), key="overlaid_curves")
    else:
        st.info("None of these runs has finished an epoch.")


def _show_settings(runs):
    configs = {display_name(run): config for run, config in _readable(runs)}
    if len(configs) < 2:
        return
    st.subheader("Settings that differ", help="All others are the same. Written as `--set` takes them.")
    table = setting_differences(configs)
    if len(table):
        st.dataframe(table.rename_axis("setting"), width="stretch")
    else:
        st.success("These runs have the same settings.")


def _readable(runs):
    for run in runs:
        try:
            yield run, run.config()
        except (FileNotFoundError, ValueError):
            continue


def _offer_clone_and_delete(runs):
    with st.container(horizontal=True, vertical_alignment="center"):
        if len(runs) == 1 and st.button(
            "Clone its settings", icon=":material/content_copy:", help="Fills the form for a new training with them."
        ):
            st.session_state["cloned_run"] = runs[0].name
            st.rerun()
        count = "this run" if len(runs) == 1 else f"these {len(runs)} runs"
        if show_refusal("deletion"):
            return
        with st.popover(f"Delete {count}", icon=":material/delete:", help="Asks before anything is lost."):
            names = ", ".join(plain_name(display_name(run)) for run in runs)
            st.write(f"Deletes {names} with model and history, for good.")
            if st.button("Delete for good", type="primary", help="This cannot be undone."):
                _delete(runs)


def _delete(runs):
    problems = []
    for run in runs:
        try:
            delete_run(run)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        st.error(" ".join(problems))
    else:
        st.rerun()
