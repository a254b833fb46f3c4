"""Upload a scan: a prediction, and where the classifier looked."""

import streamlit as st

from cxr_core.card import card_figures
from cxr_core.config import MAX_FILE_BYTES, class_label
from cxr_core.explain import COLOUR_MAPS, SCREEN_SIDE, display_rgb, overlay_map, png_bytes, shrink
from cxr_core.figures import colour_bar_figure, probability_figure
from cxr_core.pictures import UnreadablePicture
from ui.blocks import page_header, research_notice, show_figure, show_figures_row
from ui.examples import example_pictures
from ui.models import choose_model, open_classifier

page_header("Predict", "A classifier's answer to one scan, and where in the picture it comes from.")
research_notice()
name, folder = choose_model("The shipped one, or any of your runs that has a model.")
classifier = open_classifier(folder)

left, right = st.columns([3, 2])
upload = left.file_uploader(
    "Chest radiograph",
    max_upload_size=MAX_FILE_BYTES // 1_000_000,
    help="JPEG, PNG, BMP, TIFF, WebP or DICOM, frontal view. It is read in memory, and neither kept nor logged.",
)
examples = example_pictures()
example = right.selectbox(
    "Or an example",
    list(examples),
    index=None,
    placeholder="Choose a drawing",
    help="Drawings, not radiographs: they show how the page works, not what the classifier is worth.",
    disabled=upload is not None,
)
if upload is None and example is None:
    st.info("Upload a chest radiograph, or choose an example. The answer appears here.")
    st.stop()
data = upload.getvalue() if upload else examples[example]

layer = st.sidebar.selectbox(
    "Grad-CAM layer",
    classifier.card.map_layers,
    help="out_relu is the last convolution; the article takes block_16_depthwise.",
)
alpha = st.sidebar.slider(
    "Strength of the map", 0.0, 1.0, 0.4, 0.05, help="0 shows the picture alone, 1 the map alone."
)
colour_map = st.sidebar.segmented_control(
    "Colours", list(COLOUR_MAPS), default="jet", help="jet as in the article; inferno is perceptually even."
)
colour_map = colour_map or "jet"
try:
    prediction = classifier.predict_picture(data, layer)
except UnreadablePicture as error:
    st.error(f"{error} Choose another file.", icon=":material/broken_image:")
    st.stop()

sure = float(prediction.probabilities.max())
st.subheader(f"The classifier answers {class_label(prediction.label)}, with {sure:.1%}")
if upload is None:
    st.caption("This is a drawing: whatever the classifier answers means nothing.")
show_figure(probability_figure(prediction.classes, prediction.probabilities))

shown = st.segmented_control(
    "Show where it looked for",
    prediction.classes,
    default=prediction.label,
    format_func=class_label,
    key=f"shown_{prediction.label}",
    help="Grad-CAM: which places raised the score of this class.",
)
shown = shown or prediction.label
map_ = prediction.maps[prediction.classes.index(shown)]
whole = classifier.card.preprocessing.map_on_picture(map_, prediction.picture.shape)
overlay = overlay_map(prediction.picture, whole, alpha=alpha, colour_map=colour_map)
left, right = st.columns(2)
with left:
    st.markdown("**The picture**")
    st.image(shrink(display_rgb(prediction.picture), SCREEN_SIDE), width="stretch")
with right:
    st.markdown(f"**Where the classifier looked for {class_label(shown)}**")
    st.image(shrink(overlay, SCREEN_SIDE), width="stretch")
    show_figure(colour_bar_figure(colour_map))
if not map_.any():
    st.caption(f"Nothing in this picture speaks for {class_label(shown)}: the map is empty.")
st.download_button(
    "Download the overlay",
    png_bytes(overlay),
    "overlay.png",
    "image/png",
    icon=":material/download:",
    help="At the picture's own size.",
)

figures = card_figures(classifier.card)
if figures:
    st.subheader("How far to believe it", help="A sure classifier is not a right one: these figures were measured.")
    show_figures_row(figures)
with st.expander("What the classifier saw"):
    st.image(prediction.image_u8, width=224, caption="After the preprocessing stored with the model")
