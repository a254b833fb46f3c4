"""Does a classifier read the lungs, or something else in the images?"""

import json

import streamlit as st

from cxr_core.plots.robustness import attention_figure, removal_figure, variants_figure
from cxr_core.robustness.shortcut_test import external_table, variants_table
from cxr_core.system.text import percent
from ui.common.components import download_table, offer_download, page_header, show_figure, show_table
from ui.common.markdown import plain_label, plain_text
from ui.common.metrics import interval_text, plain_metric
from ui.common.model_picker import choose_model, open_classifier
from ui.shortcuts.shortcut_test import choose_shortcut_result, show_verdict

_AS_TRAINED = "Accuracy of this classifier on such images, as it was trained."
_RETRAINED = "Accuracy of a classification head trained and tested on such images: what the data give away."

page_header("Shortcuts", "Does the classifier read the lungs, or something else that happens to go with the class?")
folder = choose_model()
classifier = open_classifier(folder)
result = choose_shortcut_result(classifier, folder)
variants = {variant["name"]: variant for variant in result["variants"]}

show_verdict(result["verdict"])
columns = st.columns(4)
for column, label, name, key, what in zip(
    columns,
    ("Whole image", "Lungs hidden", "Hidden, retrained"),
    ("whole", "lungs_hidden", "lungs_hidden"),
    ("accuracy", "accuracy", "retrained"),
    (_AS_TRAINED, _AS_TRAINED, _RETRAINED),
    strict=False,
):
    plain_metric(
        column,
        label,
        percent(variants[name][key]),
        interval_text(variants[name][f"{key}_ci95"]),
        help=f"{what} {result['tested']:,} test images. Always predicting {plain_label(result['majority'])} would be "
        f"right in {percent(result['chance'])}.",
    )
lungs = result["lungs"]
plain_metric(
    columns[3],
    "Lungs found",
    percent(lungs["found"] / lungs["images"], 0),
    f"of {lungs['images']:,} images",
    help=" ".join(f"{plain_label(c)}: {percent(share, 0)}." for c, share in lungs["per_class"].items())
    + " Where none are found, a fixed box is used in their place.",
)
st.caption(plain_text(" ".join(result["notes"])))

show_figure(variants_figure(result))
st.caption(
    "As it is: what this classifier uses, and what confuses it. Retrained: what information the images contain at all. "
    "A high retrained score with the lungs hidden says that the data invite a shortcut; whether this classifier takes "
    "it, only its own score says."
)

left, right = st.columns(2)
with left:
    if result["attention"]:
        show_figure(attention_figure(result["attention"]))
    else:
        st.info("No map could be compared with the lungs: no lungs were found, or all maps are empty.")
with right:
    st.header(
        "Without any lungs", help="How well file properties and grey values alone predict the class, without any shape."
    )
    st.markdown("\n".join(f"- {plain_text(sentence)}" for sentence in result["giveaway"]["sentences"]))
    if result["external"]:
        st.header("External data", help="Data sets of other collections, as they are.")
        show_table(external_table(result), percents=("accuracy", "healthy classified as ill"))

st.header("Do the maps mean anything?", help="Checks of the Grad-CAM maps themselves, on a few test images.")
maps = result["maps"]
if maps["randomised"]:
    told = "; ".join(f"{plain_text(row['layers'])} {row['correlation']:.2f}" for row in maps["randomised"])
    st.markdown(
        f"Correlation of the maps with those of the same network with shuffled weights: {told}. Near 0, the maps "
        "depend on what was learned; near 1, they would look the same without any training."
    )
left, right = st.columns(2)
with left:
    show_figure(removal_figure(maps["deletion"], "deletion"))
with right:
    show_figure(removal_figure(maps["insertion"], "insertion"))
st.caption(
    f"Deletion and insertion test, mean of {maps['images']:,} test images. With a good map the first curve falls, and "
    "the second rises, faster than at random."
)

st.header("Downloads")
left, right = st.columns(2)
with left:
    download_table("Scores (CSV)", variants_table(result), "shortcuts.csv")
with right:
    offer_download(
        "All results (JSON)",
        json.dumps(result, indent=2, ensure_ascii=False),
        "shortcuts.json",
        "application/json",
        help="The same as the output of the shortcuts command.",
    )
with st.expander("How this works"):
    st.markdown(
        "The lungs are estimated from grey values alone: the darkest regions left and right of the spine. They are "
        "hidden by a box that is the same in every image, so that its shape reveals nothing. The classifier then "
        "classifies each image with something removed. For the retrained scores, the network is frozen, and a logistic "
        "regression is trained on its features of such images; patients and copies are never split between training "
        "and test. The 95 % intervals come from resampling patients. The verdict follows fixed rules: first what this "
        "classifier does without the lungs, then whether it beats chance, then what the data give away. See DeGrave et "
        "al. 2021 and Maguolo & Nanni 2020 for why this is needed."
    )
