"""How does a classifier do on the images of your hospital?"""

import json

import streamlit as st

from cxr_core.classes import class_label
from cxr_core.evaluation.hospitals.site import MISS_RATE, alarm_class
from ui.common.components import offer_download, page_header, research_notice
from ui.common.dataset_picker import choose_dataset, credit_images
from ui.common.model_picker import choose_model, open_classifier
from ui.common.navigation import keep_choice
from ui.hospital.site_view import answers_report, offer_saving, show_site, site_answers

page_header("Your hospital", "Try a classifier on 30 images or more of a hospital that it has not seen.")
folder = choose_model()
research_notice()
classifier = open_classifier(folder)
dataset = choose_dataset()
st.caption(
    "Labels are optional: images in folders named after the classifier's classes have them, all others have none."
)
answers = site_answers(classifier, folder, dataset)
left, right = st.columns(2)
class_name = left.selectbox(
    "Alarm for",
    classifier.classes,
    key=keep_choice("site_class", alarm_class(classifier.classes), classifier.classes),
    format_func=class_label,
    help="The class whose sensitivity and false alarms are counted.",
)
miss_percent = right.number_input(
    "May be missed in %", 1, 50, round(100 * MISS_RATE), help="Of that class, on average: it decides the threshold."
)
report = answers_report(
    classifier, answers, folder=folder, dataset=dataset, class_name=class_name, miss_rate=miss_percent / 100
)
show_site(report)
offer_saving(classifier, report)
offer_download(
    "Report (JSON)",
    json.dumps(report, indent=2),
    "site.json",
    "application/json",
    help="As `site` writes it.",
)
credit_images(dataset)
