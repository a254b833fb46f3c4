"""Watch one run: its state, curves and log, refreshed while it is active."""

import time

import streamlit as st

from cxr_core.runs import stop_run
from ui.blocks import download_table, show_history

_REFRESH_SECONDS = 1.0
_MARKS = {
    "starting": ":material/hourglass_top:",
    "running": ":material/directions_run:",
    "finished": ":material/check_circle:",
    "stopped": ":material/stop_circle:",
    "failed": ":material/error:",
}


def choose_run(runs):
    """Let the user choose which run to watch; a run just started is chosen."""
    names = [run.name for run in runs]
    watched = st.session_state.pop("watched_run", None)
    if watched in names:
        st.session_state["run_choice"] = watched
    name = st.selectbox("Run", names, key="run_choice", help="The newest is on top.")
    return runs[names.index(name)]


def watch_run(run):
    """Show a run's state, curves and log; while it is active they refresh every second."""
    active = run.status().is_active

    @st.fragment(run_every=_REFRESH_SECONDS if active else None)
    def view():
        status = run.status()
        if active and not status.is_active:
            st.rerun()
        epochs = run.epochs()
        _show_status(run, status, epochs)
        batches = run.batches()
        if len(epochs) or len(batches):
            show_history(epochs, batches)
        elif status.is_active:
            st.info("The curves appear with the first batches.")
        wanted = st.toggle("Show the log", key="show_log", help="What the training process prints.")
        if wanted or status.state == "failed":
            st.code(run.log_tail() or "The log is empty.", language=None)

    view()
    if len(run.epochs()):
        download_table("Download the history", run.epochs(), f"{run.name}-epochs.csv")


def _show_status(run, status, epochs):
    said = status.message or (status.phase if status.is_active else "")
    st.markdown(f"{_MARKS[status.state]} **{status.state.capitalize()}** {said}")
    last = epochs.iloc[-1] if len(epochs) else None
    columns = st.columns(4)
    columns[0].metric("Epoch", f"{status.epoch} of {status.epochs}", help="Finished epochs of those planned.")
    accuracy = f"{epochs['val_accuracy'].max():.1%}" if last is not None else "–"
    columns[1].metric("Best validation accuracy", accuracy, help="On images the training does not learn from.")
    speed = f"{last['images_per_second']:,.0f}" if last is not None else "–"
    columns[2].metric("Images per second", speed, help="Learned from, in the last epoch.")
    if status.is_active:
        columns[3].metric(
            "Time left", _duration(status.eta_seconds), help="At the pace so far; early stopping may shorten it."
        )
        if status.batches:
            share = (status.epoch + status.batch / status.batches) / status.epochs
            st.progress(min(1.0, share), f"Epoch {status.epoch + 1}, batch {status.batch} of {status.batches}")
        with st.popover("Stop training", icon=":material/stop:", help="Ends the process; the best model so far stays."):
            st.write("The best model so far stays. A stopped training cannot be continued.")
            if st.button("Stop now", type="primary", key="stop_now", help="Takes at most five seconds."):
                with st.spinner("Stopping…"):
                    stop_run(run)
                st.rerun()
    else:
        columns[3].metric(
            "Time spent", _duration(status.updated - status.started), help="From the first batch to the end."
        )
    if status.state == "stopped" and (run.path / "model.keras").exists() and not run.has_model:
        st.info("The best model is being exported; it appears under Evaluation in about half a minute.")


def _duration(seconds):
    if seconds is None:
        return "–"
    return time.strftime("%H:%M:%S" if seconds >= 3600 else "%M:%S", time.gmtime(seconds))
