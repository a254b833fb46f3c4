"""Does a classifier read the lungs, or something else in the images?"""

import json

import pandas as pd
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.plots.robustness import attention_figure, removal_figure, variants_figure
from cxr_core.robustness.shortcut_test import variants_table
from cxr_core.robustness.shortcut_verdict import healthy_called_ill
from ui.common.components import download_table, offer_download, page_header, show_figure
from ui.common.metrics import interval_text, plain_metric
from ui.common.model_picker import choose_model, open_classifier
from ui.shortcuts.shortcut_test import choose_shortcut_result, show_verdict

page_header("Shortcuts", "Does the classifier read the lungs, or something else that happens to go with the class?")
name, folder = choose_model("The shipped one, or any of your runs that has a model.")
classifier = open_classifier(folder)
result = choose_shortcut_result(classifier, folder)
variants = {variant["name"]: variant for variant in result["variants"]}

show_verdict(result["verdict"])
columns = st.columns(4)
for column, key, label in zip(
    columns, ("whole", "lungs_hidden", "frame_only"), ("Whole image", "Lungs hidden", "Only the frame"), strict=False
):
    plain_metric(
        column,
        f"{label}, retrained",
        f"{variants[key]['retrained']:.1%}",
        interval_text(variants[key]["retrained_ci95"]),
        help=f"A head trained and tested on such images; {result['tested']} test images. Chance is "
        f"{result['chance']:.1%}: always {class_label(result['majority'])}.",
    )
lungs = result["lungs"]
plain_metric(
    columns[3],
    "Lungs found",
    f"{lungs['found'] / lungs['images']:.0%}",
    f"of {lungs['images']:,} images",
    help=" ".join(f"{class_label(c)}: {share:.0%}." for c, share in lungs["per_class"].items())
    + " Where none are found a fixed box stands for them.",
)
st.caption(" ".join(result["notes"]))

show_figure(variants_figure(result))
st.caption(
    "As it is: what confuses this classifier. Retrained: what information is there at all. A high score with the lungs "
    "hidden means that the class is written elsewhere, and any classifier trained on these images may read it there."
)

left, right = st.columns(2)
with left:
    if result["attention"]:
        show_figure(attention_figure(result["attention"]))
    else:
        st.info("No map could be compared with lungs: none were found, or all maps are empty.")
with right:
    st.subheader("Without any lungs", help="A model that sees facts about the files and grey values, and no shape.")
    st.markdown("\n".join(f"- {sentence}" for sentence in result["giveaway"]["sentences"]))
    if result["external"]:
        st.subheader("Elsewhere", help="Data sets that the classifier was never trained on.")
        rows = [
            {
                "data set": set_name,
                "images": metrics["n"],
                "accuracy": metrics["accuracy"],
                "healthy called ill": healthy_called_ill(metrics),
            }
            for set_name, metrics in result["external"].items()
        ]
        percent = st.column_config.NumberColumn(format="percent")
        st.dataframe(
            pd.DataFrame(rows),
            width="stretch",
            hide_index=True,
            column_config={"accuracy": percent, "healthy called ill": percent},
        )

st.subheader("Do the maps mean anything?", help="Checks of the Grad-CAM maps themselves, on a few test images.")
maps = result["maps"]
if maps["randomised"]:
    told = "; ".join(f"{row['layers']} {row['correlation']:.2f}" for row in maps["randomised"])
    st.markdown(
        f"With shuffled weights the maps correlate with the real ones by: {told}. Near 0 means that a map depends on "
        "what was learned; near 1 that it would look the same without."
    )
for column, kind in zip(st.columns(2), ("deletion", "insertion"), strict=True):
    with column:
        show_figure(removal_figure(maps[kind], kind))
st.caption(f"Means over {maps['images']} test images. A good map falls faster, and rises faster, than chance.")

st.subheader("Take it with you")
left, right = st.columns(2)
with left:
    download_table("The scores", variants_table(result), "shortcuts.csv")
with right:
    offer_download(
        "Everything as JSON",
        json.dumps(result, indent=2, ensure_ascii=False),
        "shortcuts.json",
        "application/json",
        help="The same as the shortcuts command gives.",
    )
with st.expander("How this works"):
    st.markdown(
        "The lungs are estimated from grey values alone: the darkest shapes left and right of the spine. What hides "
        "them is one box, the same in every image, so that its own shape tells nothing. Each image "
        "is shown to the classifier with something taken away. For the retrained scores the classifier's network stays "
        "as it is, and a logistic regression is trained on what it makes of such images; patients and copies stay on "
        "one side. Intervals are 95 %, by resampling patients. The verdict follows fixed rules. "
        "See DeGrave et al. 2021 and Maguolo & Nanni 2020 for why this is needed."
    )
