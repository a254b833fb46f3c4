"""Watch one run: its state, curves, validation images and log, refreshed while it is active."""

import streamlit as st

from cxr_core.classes import class_label
from cxr_core.explain.overlay import overlay_map
from cxr_core.plots.evaluation import confusion_figure
from cxr_core.plots.prediction import colour_bar_figure
from cxr_core.runs.epoch_snapshots import load_snapshot, load_snapshots
from cxr_core.runs.labels import display_name
from cxr_core.runs.lifecycle import pause_run, resume_run, stop_run
from cxr_core.runs.work_folder import ACTIVE
from ui.common.components import download_table, duration, show_figure, show_history
from ui.common.permissions import show_refusal
from ui.common.thumbnails import THUMBNAIL_PIXELS

_REFRESH_SECONDS = 1.0
MARKS = {
    "queued": ":material/schedule:",
    "starting": ":material/hourglass_top:",
    "running": ":material/directions_run:",
    "finished": ":material/check_circle:",
    "stopped": ":material/stop_circle:",
    "paused": ":material/pause_circle:",
    "failed": ":material/error:",
}


def choose_run(runs):
    """Let the user choose which run to watch; a run just started is chosen."""
    names = [run.name for run in runs]
    snapshots = st.session_state.pop("watched_run", None)
    if snapshots in names:
        st.session_state["run_choice"] = snapshots
    by_name = dict(zip(names, runs, strict=True))
    name = st.selectbox(
        "Run",
        names,
        format_func=lambda name: display_name(by_name[name]),
        key="run_choice",
        help="The newest is on top.",
    )
    return by_name[name]


def monitor_run(run, *, others_active=False, resume=resume_run):
    """Show a run's state, curves, validation images and log; while it waits or is active they refresh every second.

    Args:
        run: run.Run.
        others_active: bool, another training is running, so this one cannot be resumed now.
        resume: callable(run) that lets it go on: `lifecycle.resume_run`, or `training_queue.queue_run` where many share one computer.
    """
    state, lively = run.status().state, (*ACTIVE, "queued")

    @st.fragment(run_every=_REFRESH_SECONDS if state in lively else None)
    def view():
        status = run.status()
        if state in lively and (status.state not in lively or (state == "queued") != (status.state == "queued")):
            st.rerun()
        epochs = run.epochs()
        _show_status(run, status, epochs)
        _show_actions(run, status, others_active, resume)
        batches = run.batches()
        if len(epochs) or len(batches):
            show_history(epochs, batches)
        elif status.is_active:
            st.info("The curves appear with the first batches.")
        _show_snapshots(run)
        wanted = st.toggle("Show the log", key="show_log", help="What the training process prints.")
        if wanted or status.state == "failed":
            st.code(run.log_tail() or "The log is empty.", language=None)

    view()
    if len(run.epochs()):
        download_table("Download the history", run.epochs(), f"{run.name}-epochs.csv")


def _show_status(run, status, epochs):
    said = status.message or (status.phase if status.is_active or status.state == "queued" else "")
    st.markdown(f"{MARKS[status.state]} **{status.state.capitalize()}** {said}")
    last = epochs.iloc[-1] if len(epochs) else None
    columns = st.columns(5)
    columns[0].metric("Epoch", f"{status.epoch} of {status.epochs}", help="Finished epochs of those planned.")
    accuracy = f"{epochs['val_accuracy'].max():.1%}" if last is not None else "–"
    columns[1].metric("Best validation accuracy", accuracy, help="On images the training does not learn from.")
    speed = f"{last['images_per_second']:,.0f}" if last is not None else "–"
    columns[2].metric("Images per second", speed, help="Learned from, in the last epoch.")
    if status.is_active:
        left = f"{duration(status.epoch_eta_seconds)} of the epoch, then validation."
        columns[3].metric(
            "Time left",
            duration(status.eta_seconds),
            help=f"At the pace so far; early stopping may shorten it. {left}",
        )
    else:
        columns[3].metric("Time spent", duration(status.seconds_spent), help="Training, without getting ready.")
    memory = status.memory_bytes if status.is_active else status.peak_memory_bytes
    columns[4].metric(
        "Memory" if status.is_active else "Peak memory",
        f"{memory / 1e6:,.0f} MB" if memory else "–",
        help=f"Of the training process; at most {status.peak_memory_bytes / 1e6:,.0f} MB so far.",
    )
    if status.is_active and status.batches:
        share = (status.epoch + status.batch / status.batches) / status.epochs
        left = f", {duration(status.epoch_eta_seconds)} left in it" if status.epoch_eta_seconds is not None else ""
        st.progress(min(1.0, share), f"Epoch {status.epoch + 1}, batch {status.batch} of {status.batches}{left}")
    if status.state == "stopped" and run.needs_export:
        st.info("The best model is being exported; it appears under Evaluation in about half a minute.")


def _show_actions(run, status, others_active, resume):
    """Offer what can be done with a run in its state."""
    offers = status.is_active or status.state == "queued" or run.can_resume
    if not offers or show_refusal("training"):
        return
    if status.state == "queued":
        if st.button(
            "Take it out of the queue", icon=":material/close:", help="It loses its place; its settings stay."
        ):
            _try(stop_run, run)
    elif status.is_active:
        with st.container(horizontal=True, vertical_alignment="center"):
            pausing = run.pause_requested
            if st.button(
                "Pausing after this epoch" if pausing else "Pause",
                icon=":material/pause:",
                disabled=pausing,
                help="Ends the process after the current epoch; nothing is lost, and it can be resumed.",
            ):
                pause_run(run)
                st.rerun()
            with st.popover(
                "Stop training", icon=":material/stop:", help="Ends the process; the best model so far stays."
            ):
                st.write("The best model so far stays and is exported. Resume goes on after the last finished epoch.")
                if st.button("Stop now", type="primary", key="stop_now", help="Takes at most five seconds."):
                    with st.spinner("Stopping…"):
                        stop_run(run)
                    st.rerun()
    else:
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button(
                "Resume",
                type="primary",
                icon=":material/play_arrow:",
                disabled=others_active,
                help="Goes on after the last finished epoch, as if it had never been interrupted."
                + (" Wait until the other training has ended." if others_active else ""),
            ):
                _try(resume, run)
            if status.state == "paused" and st.button(
                "End here and export",
                icon=":material/stop:",
                help="Exports and evaluates the best model so far; it can still be resumed.",
            ):
                _try(stop_run, run)


def _try(action, run):
    try:
        with st.spinner("Asking the run…"):
            action(run)
    except (ValueError, OSError) as error:
        st.error(str(error))
    else:
        st.rerun()


def _show_snapshots(run):
    """Show the validation images as the network sees them after an epoch, and the confusion matrix."""
    snapshots = load_snapshots(run)
    if snapshots is None:
        return
    st.subheader(
        "After each epoch",
        help="All validation images by true and predicted class, and six of them with their Grad-CAM: the same six "
        "in every epoch.",
    )
    epoch = snapshots.epochs[-1]
    if len(snapshots.epochs) > 1 and not st.toggle(
        "Newest epoch", True, key="newest_epoch", help="Switch off to go back through the epochs."
    ):
        epoch = st.select_slider("Epoch", snapshots.epochs, epoch, help="Go through the epochs.", key="watched_epoch")
    try:
        seen = load_snapshot(run, epoch)
    except (FileNotFoundError, ValueError) as error:
        st.warning(str(error))
        return
    left, right = st.columns([2, 3])
    with left:
        counts = {"classes": snapshots.classes, "confusion_matrix": seen.confusion.tolist()}
        show_figure(confusion_figure(counts), key="watched_confusion")
    with right:
        st.markdown(f"**Where the network looked after epoch {epoch}**")
        with st.container(horizontal=True, gap="small"):
            for image, map_, probabilities, true in zip(
                snapshots.images_u8, seen.maps, seen.probabilities, snapshots.true, strict=True
            ):
                _show_snapshot_image(run, image, map_, probabilities, true, snapshots.classes)
        show_figure(colour_bar_figure("jet"), key="watched_colours")


def _show_snapshot_image(run, image, map_, probabilities, true, classes):
    said = classes[int(probabilities.argmax())]
    mark = "right" if said == true else "wrong"
    caption = f"{mark}: {class_label(said)} {probabilities.max():.0%}, is {class_label(true)}"
    laid = run.config().preprocessing.map_on_image(map_, image.shape)
    with st.container(width=THUMBNAIL_PIXELS):
        st.image(overlay_map(image, laid), caption=caption, width=THUMBNAIL_PIXELS)
