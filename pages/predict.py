"""What does a classifier answer to one scan or to many, and which regions drove the answer?"""

import streamlit as st

from cxr_core.evaluation.headline_metrics import card_figures
from cxr_core.imaging.reader import UnreadableImage
from cxr_core.imaging.zip_archive import is_zip
from cxr_core.inference.image_sources import Source, read_source
from ui.common.components import page_header, plain_error, research_notice
from ui.common.markdown import plain_name
from ui.common.metrics import show_figures_row
from ui.common.model_picker import choose_model, choose_site, open_classifier
from ui.common.navigation import keep_choice
from ui.common.thumbnails import examples
from ui.predict.batch import answer_given, ask_for_folder, folder_key, forget_answers, show_batch
from ui.predict.examples import offer_examples, show_truth
from ui.predict.marking import offer_marking, show_marked
from ui.predict.prediction_sets import show_set
from ui.predict.single_answer import (
    answer_scan,
    choose_maps,
    offer_downloads,
    show_caveats,
    show_maps,
    show_neighbours,
    show_numbers,
    show_scan,
    show_verdict,
)
from ui.predict.uploads import ask_for_uploads, has_uploads

page_header("Predict", "Classify one scan or many, and see which regions drove the answer.")
folder = choose_model()
research_notice()
classifier = choose_site(open_classifier(folder))

offered = examples()
example_key = keep_choice("example", None, (None, *offered))
# Beside an answer, the fields for the next scan are folded away: the radiograph comes first.
is_answered = has_uploads() or bool(st.session_state[example_key] or st.session_state[folder_key()])
scans = st.expander("Another scan" if is_answered else "Scans", expanded=not is_answered, icon=":material/upload:")
left, right = scans.columns([3, 2])
uploads = ask_for_uploads(left, st.container())
example = right.selectbox(
    "Or choose an example",
    list(offered),
    key=example_key,
    index=None,
    placeholder="Choose a radiograph",
    help="Radiographs that it was not trained on, named after what the built-in classifier answers to them.",
    disabled=bool(uploads),
)
directory = ask_for_folder(right, disabled=bool(uploads or example))
if not (uploads or example or directory):
    forget_answers()
    show_marked()
    st.info(
        "Upload one or more chest radiographs (JPEG, PNG, BMP, TIFF, WebP or DICOM), or a ZIP file of them, or open an "
        "example. The answer appears here."
    )
    offer_examples(offered)
    st.stop()

layer, method, look = choose_maps(classifier)
if directory or len(uploads) > 1 or (uploads and is_zip(uploads[0].data)):
    items = answer_given(classifier, uploads, directory)
    chosen = show_batch(items, classifier, layer, look)
    if chosen is None:
        st.info("Select a row to see the full result.", icon=":material/touch_app:")
        st.stop()
    source = chosen.source
    st.text(source.name)
elif uploads:
    upload = uploads[0]
    source = Source(upload.name, lambda: upload.data)
elif example:
    source = Source(example, offered[example].path.read_bytes)
try:
    data = read_source(source)
    answer, answer_again = answer_scan(classifier, data, layer, method)
except UnreadableImage as error:
    st.error(f"{plain_error(error)} Choose another file.", icon=":material/broken_image:")
    st.stop()

wanted = show_verdict(answer)
shown = offered[example] if example and not uploads else None
if shown:
    show_truth(shown)
left, right = st.columns([3, 2], gap="medium")
with left:
    show_scan(answer, classifier, look, with_map=wanted)
    if shown:
        st.caption(plain_name(shown.credit, 200))
with right:
    if wanted:
        show_numbers(answer)
        show_set(answer, folder)
    show_caveats(answer, classifier, folder, with_numbers=wanted)
if wanted:
    show_maps(answer, classifier, look)
    show_neighbours(answer, classifier)
offer_marking(answer, data, folder)
offer_downloads(source.name, data, answer_again, classifier, with_numbers=wanted, look=look)

figures = card_figures(classifier.card)
if figures:
    st.header(
        "How much to trust it", help="A confident classifier is not necessarily right: these metrics were measured."
    )
    show_figures_row(figures)
with st.expander("What the classifier saw"):
    saw = "After the preprocessing stored with the model"
    st.image(answer.prediction.image_u8, width=224, caption=saw, alt=saw)
show_marked()
