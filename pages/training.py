"""Start a training, watch it, pause, stop or resume it, and compare it with earlier ones."""

import streamlit as st

from cxr_core.jobs import list_jobs, start_job
from cxr_core.runs import diagnose_history, list_runs, start_run
from ui.blocks import page_header
from ui.compare import show_runs
from ui.data import choose_dataset, demo_note
from ui.examine import dataset_decisions, left_out_note
from ui.forms import ask_training, cloned_config
from ui.jobs import ask_plan, choose_view, show_jobs
from ui.permissions import is_open_to_strangers, show_refusal
from ui.watch import choose_run, watch_run

page_header("Training", "A training runs in its own process: change pages or close the browser, it goes on.")
dataset = choose_dataset()
demo_note(dataset)
decisions = dataset_decisions(dataset)
runs, jobs = list_runs(), list_jobs()
active = next((one for one in [*jobs, *runs] if one.status().is_active), None)

cloned = cloned_config(runs)
with st.expander("New training", expanded=active is None or cloned is not None, icon=":material/add:"):
    config = ask_training(dataset, cloned)
    left_out_note(decisions)
    plan = ask_plan(config)
    if active:
        st.info(f"{active.name} is still running. One training at a time: stop it below or wait for it.")
    refused = show_refusal("training")
    if is_open_to_strangers() and not refused:
        st.caption("This installation is shared: keep trainings short, others wait for the same machine.")
    start = not refused and st.button(
        "Start training",
        type="primary",
        disabled=active is not None or config is None,
        help="Starts a process of its own; its curves appear below.",
        icon=":material/play_arrow:",
    )
    if start and plan is not None:
        st.session_state["watched_job"] = start_job(plan, decisions=decisions).name
        st.rerun()
    elif start:
        st.session_state["watched_run"] = start_run(config, decisions=decisions).name
        st.rerun()

if choose_view(jobs, active) == "Jobs":
    show_jobs(jobs, others_active=active is not None)
    st.stop()
if not runs:
    st.info("No training yet. The curves of the first one will appear here.")
    st.stop()

run = choose_run(runs)
watch_run(run, others_active=active is not None and active != run)
warning = diagnose_history(run.epochs())
if warning:
    st.warning(warning)

st.subheader("All runs")
show_runs(runs)
