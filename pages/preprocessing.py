"""What does the classifier see of an image, and what does each option do to it?"""

import numpy as np
import pandas as pd
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.data.class_averages import grey_histograms
from cxr_core.data.lung_masks import lung_mask_u8
from cxr_core.imaging.augmentation import Augmentation
from cxr_core.imaging.display import SCREEN_SIDE, display_rgb, shrink
from cxr_core.imaging.isolated_decoding import read_image
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.imaging.reader import UnreadableImage
from cxr_core.plots.dataset import grey_histogram_figure
from ui.common.components import page_header, plain_error, show_figure
from ui.common.dataset_analysis import telling_image
from ui.common.dataset_picker import choose_dataset, credit_images
from ui.common.markdown import plain_name, plain_text
from ui.common.settings_forms import SCALINGS, ask_augmentation, ask_preprocessing
from ui.common.thumbnails import THUMBNAIL_PIXELS, choose_image

page_header(
    "Preprocessing",
    "What the classifier sees: adjust white balance, contrast, resizing and augmentation, and see the result.",
)
dataset = choose_dataset()

telling = telling_image(dataset)
left, right = st.columns([1, 2])
class_name = left.selectbox(
    "Class",
    dataset.classes,
    dataset.classes.index(telling["class_name"]),
    format_func=class_label,
    help="Class that the image belongs to.",
)
rows = dataset.table[dataset.table["class_name"] == class_name]
row = choose_image(right, rows, telling["path"])
other = dataset.table.sample(1, random_state=0).iloc[0]

preprocessing = ask_preprocessing(st.sidebar, Preprocessing())
try:
    image, other_image = read_image(row["path"]), read_image(other["path"])
except (UnreadableImage, OSError) as error:
    st.error(f"{plain_name(row['file'])}: {plain_error(error)} Choose another image.")
    st.stop()
image_u8, other_u8 = preprocessing.image_u8(image), preprocessing.image_u8(other_image)
plain_u8 = Preprocessing(white_balance_percent=None, size=preprocessing.size).image_u8(image)

shown = {
    f"The file: {row['width']} × {row['height']} pixels": shrink(display_rgb(image), SCREEN_SIDE),
    f"Resized only: {preprocessing.size} × {preprocessing.size} pixels": plain_u8,
    f"What the classifier sees, scaled to {SCALINGS[preprocessing.scaling]}": image_u8,
}
for column, (caption, pixels) in zip(st.columns(3), shown.items(), strict=True):
    column.image(pixels, caption=plain_text(caption), alt=caption, width="stretch")

steps = grey_histograms(np.stack([plain_u8, image_u8]), ["before", "after"])
show_figure(grey_histogram_figure(pd.DataFrame(steps), "Grey values before and after"))

st.header(
    "Augmentation",
    help="Random changes of the training images, new in every epoch; validation and test images stay as they are.",
)
augmentation = ask_augmentation(Augmentation())
seed = st.number_input("Seed", 0, 9999, 0, width=180, help="The same seed gives the same 21 copies.")
rng = np.random.default_rng(int(seed))
if augmentation.needs_second_image:
    st.caption(
        f"What is taken from another image is taken from {plain_name(other['file'])} here; training takes it from "
        "another one each time."
    )
lungs = (lung_mask_u8(image_u8), lung_mask_u8(other_u8)) if augmentation.outside_lungs else None
if lungs and not lungs[0].any():
    st.caption("No lungs were found in this image, so what lies outside them stays.")
copies = [augmentation.apply(image_u8, rng, other_u8, lungs) for _ in range(21)]
with st.container(horizontal=True, gap="small"):
    for number, copy in enumerate(copies, start=1):
        st.image(copy, alt=f"Augmented copy {number} of {len(copies)}", width=THUMBNAIL_PIXELS)

with st.expander("How this works"):
    st.markdown(
        "Each colour channel is stretched so that 0.05 % of its pixels become black and 0.05 % white. The channels are "
        "merged to greyscale, copied to three equal channels and resized. The settings are stored with every trained "
        "classifier, which receives only images prepared in this way."
    )
    st.json(preprocessing.to_dict(), expanded=False)
credit_images(dataset)
