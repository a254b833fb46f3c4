"""Which result of the shortcut test is shown, on which images, and what does the test do to an image?"""

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.imaging.isolated_decoding import read_image
from cxr_core.imaging.lung_segmentation import draw_outline
from cxr_core.imaging.reader import UnreadableImage
from cxr_core.inference.classifier import Classifier
from cxr_core.robustness.held_out_images import held_out_table
from cxr_core.robustness.image_variants import VARIANTS, preview
from cxr_core.robustness.shortcut_results import ShortcutResult, keep_shortcut_result
from cxr_core.robustness.shortcut_test import MAX_IMAGES, result_path, run_shortcut_test
from cxr_core.robustness.shortcut_verdict import LEVELS, ShortcutVerdict, judge_again, load_shortcut_result
from cxr_core.runs.run import Run
from cxr_core.system.arrays import IntArray, ObjectArray
from cxr_core.system.files import read_json
from ui.common.components import plain_error, progress_bars
from ui.common.curation import dataset_curation
from ui.common.dataset_analysis import grouping
from ui.common.dataset_picker import choose_dataset, open_once
from ui.common.markdown import plain_name, plain_text
from ui.common.model_picker import own_run_names
from ui.common.permissions import may, show_refusal
from ui.common.thumbnails import choose_image, credit_image

_SHOWN_AS = {
    "shortcut": st.error, "doubt": st.warning, "invitation": st.warning, "no sign": st.success, "chance": st.error,
    "unknown": st.info,
}  # fmt: skip
_KEPT, _OWN = "Its own test images", "Your own images"
# Images that the network classifies, with one part or another hidden.
_VIEWS_PER_MINUTE = 4_500
_ICONS = {
    "shortcut": ":material/gpp_bad:", "doubt": ":material/gpp_maybe:", "invitation": ":material/gpp_maybe:",
    "no sign": ":material/verified_user:", "chance": ":material/casino:", "unknown": ":material/help:",
}  # fmt: skip


def choose_shortcut_result(classifier: Classifier, folder: Path) -> ShortcutResult:
    """Return the result stored with the classifier, or that on the user's images; the page stops until there is one."""
    kept = load_shortcut_result(folder)
    if kept:
        chosen = st.segmented_control(
            "Measured on", [_KEPT, _OWN], default=_KEPT, required=True, key=f"measured_{folder.name}",
            help="The stored result, or a new test on your own images.",
        )  # fmt: skip
        if chosen != _OWN:
            st.caption("Stored results; the images are not included.")
            return kept
    external = ask_external()
    table, groups, sides = choose_test_images(folder)
    with st.expander("What the shortcut test does to an image", icon=":material/visibility:"):
        show_preview(classifier, table)
    return shortcut_result(classifier, folder, table, groups, sides, external)


def choose_test_images(folder: Path) -> tuple[pd.DataFrame, IntArray, ObjectArray]:
    """Let the user choose a data set and say what is tested; the page stops where that is impossible.

    Returns:
        The images, their groups and sides, as `held_out_images.held_out_table` gives them.
    """
    run = Run(folder)
    if (run.path / "config.json").exists():
        open_once(run.config().roots, f"shortcuts of {run.name}")
    dataset = choose_dataset()
    _, table, groups = grouping(dataset).taking_part(dataset_curation(dataset))
    try:
        table, groups, sides, note = held_out_table(table, groups, run)
    except ValueError as error:
        st.error(f"{plain_error(error)} Choose another data set or classifier in the sidebar.")
        st.stop()
    if note:
        st.caption(plain_text(note))
    return table, groups, sides


def ask_external() -> tuple[str, ...]:
    """Ask for folders of external data sets; always none where a visitor may not open folders."""
    if not may("folders"):
        return ()
    text = st.sidebar.text_area(
        "External data sets",
        placeholder="/home/me/other_hospital",
        help="One folder per line, each with one sub-folder per class. The classifier is evaluated on them as it is.",
    )
    folders = tuple(line.strip() for line in text.splitlines() if line.strip())
    missing = [folder for folder in folders if not Path(folder).is_dir()]
    if missing:
        st.error(f"There is no folder {plain_text(missing[0])}. Correct it in the sidebar.")
        st.stop()
    return folders


def shortcut_result(
    classifier: Classifier,
    folder: Path,
    table: pd.DataFrame,
    groups: IntArray,
    sides: ObjectArray,
    external: tuple[str, ...],
) -> ShortcutResult:
    """Return the saved result on these images, or offer to run the test; the page stops until there is a result."""
    path = result_path(classifier, table, groups, sides, external=external)
    if path.exists():
        return judge_again(read_json(path))
    _offer_test(len(table), own=folder.name in own_run_names())
    try:
        with progress_bars() as phase:
            result = run_shortcut_test(classifier, table, groups, sides, external=external, phase=phase)
    except (ValueError, OSError) as error:
        st.error(f"{plain_error(error)} Choose another data set or classifier in the sidebar.")
        st.stop()
    if may("keeping"):
        keep_shortcut_result(folder, result)
    return result


def _offer_test(images: int, *, own: bool) -> None:
    """Offer to run the test on so many images; the page stops unless the user wants it now.

    Args:
        images: how many it begins with.
        own: the visitor trained the classifier on a shared installation, where its test images are few.
    """
    place = st.empty()
    with place.container():
        minutes = 1 + round(min(MAX_IMAGES, images) * len(VARIANTS) / _VIEWS_PER_MINUTE)
        st.info(
            "The shortcut test hides parts of each image, classifies it again, and retrains a small classifier on each "
            f"such set of images. It takes about {minutes} min on two cores, once. The result is saved.",
            icon=":material/science:",
        )
        if not own and show_refusal("training"):
            st.stop()
        if not st.button("Run the shortcut test", type="primary", help="Keep this page open until it is done."):
            st.stop()
    place.empty()


def show_verdict(verdict: ShortcutVerdict) -> None:
    """Show the verdict: its title, then its sentences."""
    level = verdict["level"]
    text = "\n".join(f"- {plain_text(sentence)}" for sentence in verdict["sentences"])
    _SHOWN_AS[level](f"**{LEVELS[level]}.**\n\n{text}", icon=_ICONS[level])


def show_preview(classifier: Classifier, table: pd.DataFrame) -> None:
    """Show one image with its lungs outlined, and every variant of it."""
    left, right = st.columns([1, 2])
    names = list(dict.fromkeys(table["class_name"]))
    class_name = left.selectbox("Class", names, format_func=class_label, help="Class that the image belongs to.")
    rows = table[table["class_name"] == class_name]
    row = choose_image(right, rows)
    try:
        image_u8 = classifier.card.preprocessing.image_u8(read_image(row["path"]))
    except (UnreadableImage, OSError) as error:
        st.error(f"{plain_name(row['file'])}: {plain_error(error)} Choose another image.")
        return
    region, variants = preview(image_u8)
    if not region.found:
        st.warning(
            f"No lungs found: {plain_text(region.reason)} The dashed box is used in their place.",
            icon=":material/warning:",
        )
    shown = {"lungs": ("Its lungs", draw_outline(image_u8, region))}
    shown |= {name: (VARIANTS[name].title, np.repeat(v[..., None], 3, -1)) for name, v in variants.items()}
    with st.container(horizontal=True, gap="small"):
        for title, image in shown.values():
            with st.container(width=190):
                st.image(image, caption=plain_text(title), alt=title, width="stretch")
    credit_image(row)
