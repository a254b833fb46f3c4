"""Start a training, watch it, stop it, and look back at earlier ones."""

import streamlit as st

from cxr_core.config import is_shared
from cxr_core.runs import diagnose_history, list_runs, runs_table, start_run
from ui.blocks import download_table, page_header
from ui.data import choose_dataset, demo_note
from ui.examine import dataset_decisions, left_out_note
from ui.forms import ask_training
from ui.watch import choose_run, watch_run

page_header("Training", "A training runs in its own process: change pages or close the browser, it goes on.")
dataset = choose_dataset()
demo_note(dataset)
decisions = dataset_decisions(dataset)
runs = list_runs()
active = next((run for run in runs if run.status().is_active), None)

with st.expander("New training", expanded=active is None, icon=":material/add:"):
    config = ask_training(dataset)
    left_out_note(decisions)
    if active:
        st.info(f"{active.name} is still running. One training at a time: stop it below or wait for it.")
    if is_shared():
        st.caption("This installation is shared: keep trainings short, others wait for the same machine.")
    start = st.button(
        "Start training",
        type="primary",
        disabled=active is not None or config is None,
        help="Starts a process of its own; its curves appear below.",
        icon=":material/play_arrow:",
    )
    if start:
        st.session_state["watched_run"] = start_run(config, decisions=decisions).name
        st.rerun()

if not runs:
    st.info("No training yet. The curves of the first one will appear here.")
    st.stop()

run = choose_run(runs)
watch_run(run)
warning = diagnose_history(run.epochs())
if warning:
    st.warning(warning)

st.subheader("All runs")
table = runs_table(runs)
shares = {c: st.column_config.NumberColumn(format="percent") for c in table.columns if "accuracy" in c}
st.dataframe(table, width="stretch", hide_index=True, column_config=shares)
download_table("Download this table", table, "runs.csv")
