"""How is a run doing: its state, curves, validation images and log, refreshed while it is active?"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cxr_core.evaluation.metrics import ConfusionCounts
from cxr_core.explain.overlay import overlay_map
from cxr_core.imaging.preprocessing import MapOffset
from cxr_core.inference.model_card import load_card
from cxr_core.plots.evaluation import confusion_figure
from cxr_core.plots.prediction import colour_bar_figure
from cxr_core.recipes.backbones import BACKBONES
from cxr_core.recipes.batch_norm_lag import batch_norm_lag, lag_sentence
from cxr_core.runs.diagnosis import diagnose_training
from cxr_core.runs.epoch_snapshots import EpochSnapshot, EpochSnapshots, load_snapshot, load_snapshots
from cxr_core.runs.labels import display_name
from cxr_core.runs.lifecycle import pause_run, resume_run, stop_run
from cxr_core.runs.overview import end_sentence, kept_accuracy, kept_epoch, seconds_left
from cxr_core.runs.run import Run, RunStatus
from cxr_core.runs.work_folder import ACTIVE
from cxr_core.system.text import percent
from ui.common.components import download_table, duration, plain_error, show_figure, show_history
from ui.common.markdown import Markdown, plain_text, without_paths
from ui.common.metrics import images_text, interval_text, look_once
from ui.common.navigation import choose, keep_choice, tell_of_disk
from ui.common.permissions import is_open_to_strangers, show_refusal
from ui.common.thumbnails import THUMBNAIL_PIXELS, prediction_caption

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


def choose_run(runs: Sequence[Run]) -> Run:
    """Let the user choose which run to monitor; one that was just started is chosen."""
    by_name = {run.name: run for run in runs}
    started = st.session_state.pop("watched_run", None)
    if started in by_name:
        choose("run", started)
    name = st.selectbox(
        "Run",
        list(by_name),
        format_func=lambda name: display_name(by_name[name]),
        # Without a default, so that a link names the run even while it is the newest.
        key=keep_choice("run", None, by_name),
        help="Newest first.",
    )
    return by_name[name]


def monitor_run(
    run: Run,
    *,
    others_active: bool = False,
    resume: Callable[[Run], object] = resume_run,
    actions: Callable[[Run], None] | None = None,
) -> None:
    """Show a run's state, curves, validation images and log; while it waits or is active they refresh every second.

    Args:
        run: to show.
        others_active: True while another run is training, so that this one cannot be resumed.
        resume: continues it: `lifecycle.resume_run`, or `training_queue.queue_run` on a shared installation.
        actions: shows what can be done with the run, where that is something else than anybody who may train can do.
    """
    state, lively = run.status().state, (*ACTIVE, "queued")
    if state not in lively:
        _show_end(run)

    @st.fragment(run_every=_REFRESH_SECONDS if state in lively else None)
    @tell_of_disk()
    def view() -> None:
        status = run.status()
        if state in lively and (status.state not in lively or (state == "queued") != (status.state == "queued")):
            st.rerun()
        epochs = run.epochs()
        _show_status(run, status, epochs)
        if actions:
            actions(run)
        else:
            _show_actions(run, status, others_active, resume)
        batches = run.batches()
        if len(epochs) or len(batches):
            show_history(epochs, batches)
        elif status.is_active:
            st.info("The curves appear with the first batches.")
        snapshots = load_snapshots(run)
        _show_diagnosis(run, status, epochs, snapshots)
        if snapshots is not None:
            _show_snapshots(run, snapshots)
        wanted = st.toggle("Show the log", key="show_log", help="The output of the training process.")
        if wanted or status.state == "failed":
            log = run.log_tail() or "The log is empty."
            st.code(without_paths(log) if is_open_to_strangers() else log, language=None)

    view()
    if len(run.epochs()):
        download_table("Download the history", run.epochs(), f"{run.name}-epochs.csv")


def _show_end(run: Run) -> None:
    """Offer what an ended run has led to: its test accuracy, on request, and its evaluation."""
    if not run.has_model:
        return
    metrics = run.metrics()
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            "Open its evaluation", type="primary", icon=":material/analytics:", help="On the Evaluation page.",
        ):  # fmt: skip
            choose("classifier", run.name)
            st.switch_page("pages/evaluation.py")
        wanted = metrics is not None and st.toggle(
            "Show test accuracy", key=f"test_of_{run.name}",
            help="Choose among runs by validation. Each time that a test accuracy is shown is counted beside the split "
            "of the run, and reports say how often.",
        )  # fmt: skip
    if wanted and metrics:
        look_once([run], "Training page")
        test = metrics["test"]
        interval = interval_text(test.get("ci95", {}).get("accuracy"))
        st.markdown(
            f"Test accuracy: **{percent(test['accuracy'])}** on {images_text(test['n'])}"
            + (f" ({interval})." if interval else ".")
        )


def _show_diagnosis(run: Run, status: RunStatus, epochs: pd.DataFrame, snapshots: EpochSnapshots | None) -> None:
    """Say what the history shows to be wrong, with the control that changes it."""
    try:
        config = run.config()
    except (FileNotFoundError, ValueError):
        return
    confusion = None
    if snapshots is not None:
        with suppress(FileNotFoundError, ValueError):
            confusion = load_snapshot(run, snapshots.epochs[-1]).confusion
    classes = () if snapshots is None else snapshots.classes
    findings = diagnose_training(epochs, config, batches=status.batches, confusion=confusion, classes=classes)
    for finding in findings:
        st.warning(plain_text(finding.sentence), icon=":material/lightbulb:")
    is_early = status.is_active and status.epoch < batch_norm_lag(config, status.batches)
    if is_early and all(finding.name != "lagging batch norm" for finding in findings):
        st.info(plain_text(lag_sentence(config, status.batches)), icon=":material/hourglass_top:")


def _state_sentence(run: Run, status: RunStatus, epochs: pd.DataFrame) -> Markdown:
    """Say in which state a run is; of a finished one, how it ended and which epoch was kept."""
    if status.state == "finished":
        try:
            return f"**{plain_text(end_sentence(epochs, run.config()))}** {plain_text(status.message)}"
        except (FileNotFoundError, ValueError):
            pass
    phase = status.phase if status.is_active or status.state == "queued" else ""
    return f"**{plain_text(status.state.capitalize())}** {plain_text(status.message or phase)}"


def _show_status(run: Run, status: RunStatus, epochs: pd.DataFrame) -> None:
    st.markdown(f"{MARKS[status.state]} {_state_sentence(run, status, epochs)}")
    columns = st.columns(5)
    columns[0].metric("Epoch", f"{status.epoch:d} of {status.epochs:d}", help="Finished of planned epochs.")
    kept, accuracy = kept_epoch(epochs), kept_accuracy(epochs)
    columns[1].metric(
        "Validation accuracy",
        "–" if accuracy is None else percent(accuracy),
        help="Of the epoch that is kept, the one with the lowest validation loss"
        + ("." if kept is None else f": epoch {kept:d}."),
    )
    last = epochs["images_per_second"].iloc[-1] if len(epochs) else None
    speed = "–" if pd.isna(last) else f"{last:,.0f}"
    columns[2].metric("Images per second", speed, help="Trained on, in the last epoch.")
    _show_time(columns[3], run, status, epochs)
    _show_memory(columns[4], status)
    if status.is_active and status.batches:
        where = f"Epoch {status.epoch + 1:d}, batch {status.batch:d} of {status.batches:d}"
        st.progress(status.share_done, where if status.epoch < status.epochs else plain_text(status.phase))
    if status.state == "stopped" and run.needs_export:
        st.info("The best model is being exported; it appears on the Evaluation page in about half a minute.")


def _show_time(column: DeltaGenerator, run: Run, status: RunStatus, epochs: pd.DataFrame) -> None:
    if not status.is_active:
        column.metric("Time spent", duration(status.seconds_spent), help="Training only, without preparation.")
        return
    split = run.path / "split.csv"
    images = _evaluated_images(str(run.path), split.stat().st_mtime_ns) if split.exists() else 0
    left = seconds_left(status, epochs, now=time.time(), images=images)
    column.metric(
        "Time left",
        duration(left),
        help="At the pace of the last epochs, export and evaluation included; early stopping may shorten it.",
    )


@st.cache_data(max_entries=8, show_spinner=False)
def _evaluated_images(folder: str, mtime_ns: int) -> int:
    """Return how many images of a run will be evaluated after training."""
    split = Run(Path(folder)).split()
    return int((split["split"] != "train").sum()) if "split" in split else 0


def _show_memory(column: DeltaGenerator, status: RunStatus) -> None:
    memory = status.memory_bytes if status.is_active else status.peak_memory_bytes
    column.metric(
        "Memory" if status.is_active else "Peak memory",
        f"{memory / 1e6:,.0f} MB" if memory else "–",
        help=f"Of the training process; at most {status.peak_memory_bytes / 1e6:,.0f} MB so far.",
    )


def _show_actions(run: Run, status: RunStatus, others_active: bool, resume: Callable[[Run], object]) -> None:
    """Offer what can be done with a run in its state."""
    offers = status.is_active or status.state == "queued" or run.can_resume
    if not offers or show_refusal("training"):
        return
    if status.state == "queued":
        if st.button(
            "Remove from the queue", icon=":material/close:", help="The run loses its place but keeps its settings."
        ):
            _try(stop_run, run)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if status.is_active:
            _offer_pause_and_stop(run)
        else:
            _offer_resume_and_export(run, status, others_active, resume)


def _offer_pause_and_stop(run: Run) -> None:
    pausing = run.pause_requested
    if st.button(
        "Pausing after this epoch" if pausing else "Pause",
        icon=":material/pause:",
        disabled=pausing,
        help="Ends the process after the current epoch; nothing is lost, and the run can be resumed.",
    ):
        pause_run(run)
        st.rerun()
    with st.popover("Stop training", icon=":material/stop:", help="Ends the process; the best model so far is kept."):
        st.write("The best model so far is kept and exported. Resuming continues after the last finished epoch.")
        if st.button("Stop now", type="primary", key="stop_now", help="Takes at most five seconds."):
            with st.spinner("Stopping…"):
                stop_run(run)
            st.rerun()


def _offer_resume_and_export(run: Run, status: RunStatus, others_active: bool, resume: Callable[[Run], object]) -> None:
    if st.button(
        "Resume",
        type="primary",
        icon=":material/play_arrow:",
        disabled=others_active,
        help="Continues after the last finished epoch, as if the run had never been interrupted."
        + (" Wait until the other training has ended." if others_active else ""),
    ):
        _try(resume, run)
    if status.state == "paused" and st.button(
        "End here and export",
        icon=":material/stop:",
        help="Exports and evaluates the best model so far; the run can still be resumed.",
    ):
        _try(stop_run, run)


def _try(action: Callable[[Run], object], run: Run) -> None:
    try:
        with st.spinner("Sending the request…"):
            action(run)
    except (ValueError, OSError) as error:
        st.error(plain_error(error))
    else:
        st.rerun()


def _show_snapshots(run: Run, snapshots: EpochSnapshots) -> None:
    """Show the confusion matrix of the validation images after an epoch, and some of them with their maps."""
    st.header(
        "After each epoch",
        help="Confusion matrix of all validation images, and Grad-CAM of six of them: the same six in every epoch.",
    )
    epoch = _choose_epoch(snapshots)
    try:
        snapshot = load_snapshot(run, epoch)
    except (FileNotFoundError, ValueError) as error:
        st.warning(plain_error(error))
        return
    left, right = st.columns([2, 3])
    with left:
        counts = ConfusionCounts(classes=list(snapshots.classes), confusion_matrix=snapshot.confusion.tolist())
        show_figure(confusion_figure(counts), key="watched_confusion")
    with right:
        st.markdown(f"**Grad-CAM after epoch {epoch:d}**")
        with st.container(horizontal=True, gap="small"):
            for number in range(len(snapshots.true)):
                _show_snapshot_image(run, snapshots, snapshot, number)
        show_figure(colour_bar_figure("jet"), key="watched_colours")


def _choose_epoch(snapshots: EpochSnapshots) -> int:
    """Let the user go back through the epochs; the newest one otherwise."""
    newest = snapshots.epochs[-1]
    if len(snapshots.epochs) == 1 or st.toggle(
        "Newest epoch", True, key="newest_epoch", help="Switch off to go back through the epochs."
    ):
        return newest
    return st.select_slider("Epoch", snapshots.epochs, newest, help="Go through the epochs.", key="watched_epoch")


def _map_offset(run: Run) -> MapOffset:
    """Return how far the maps' cells look beside an even grid: as the export computed it, or for the backbone."""
    if run.has_model:
        return load_card(run.path).map_offset()
    config = run.config()
    return BACKBONES[config.backbone].map_offset(config.preprocessing.size)


def _show_snapshot_image(run: Run, snapshots: EpochSnapshots, snapshot: EpochSnapshot, number: int) -> None:
    image, probabilities = snapshots.images_u8[number], snapshot.probabilities[number]
    predicted = snapshots.classes[int(probabilities.argmax())]
    map_ = run.config().preprocessing.map_on_image(snapshot.maps[number], image.shape, _map_offset(run))
    with st.container(width=THUMBNAIL_PIXELS):
        caption = prediction_caption(predicted, snapshots.true[number], probabilities.max())
        st.image(overlay_map(image, map_), caption=caption, alt=f"Grad-CAM: {caption}", width=THUMBNAIL_PIXELS)
