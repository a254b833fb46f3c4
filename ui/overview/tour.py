"""Where does each section of the article stand in this app, what is there to see, and where was the article wrong?"""

import html
from dataclasses import dataclass, field

import streamlit as st

from cxr_core.config import NOTICE
from ui.common.components import offer_download
from ui.common.markdown import plain_text
from ui.common.model_picker import SHIPPED
from ui.common.navigation import choose

_INTRODUCTION = (
    "CXR Lab rebuilds a published tutorial that fine-tunes MobileNetV2 on chest radiographs and reports an accuracy of "
    "95.6 %. Its ten sections are ten steps, each of which leads to a page that shows it on the teaching set."
)


@dataclass(frozen=True)
class TourStep:
    """One section of the article.

    Attributes:
        title: as the article calls it.
        page: name of the page that shows it.
        look: one sentence of what to look for there.
        wrong: where the article went wrong.
        choices: {name: value} of what is chosen on the page.
    """

    title: str
    page: str
    look: str
    wrong: str
    choices: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> dict[str, str]:
        """What is chosen for the visitor before the page opens."""
        return {"source": "teaching", "classifier": SHIPPED} | self.choices


STEPS = (
    TourStep(
        "Dataset description", "dataset",
        "Under Sources: all COVID-19 is of one hospital; all Viral and most Normal are of another, one for children.",
        "It tells an age range for COVID-19 only; its Normal and Viral are children, so age goes along with the class.",
    ),
    TourStep(
        "Exploratory data analysis", "dataset",
        "Under “What gives the class away”: how often file properties alone, without any lungs, tell the class.",
        "Its size table compares each width with the greatest height, so the two maxima of each class are equal. It "
        "sees that COVID-19 varies most in size and draws no conclusion.",
    ),
    TourStep(
        "Loading and preprocessing", "preprocessing",
        "What the white balance changes in a grey radiograph, step by step from the file to 224 × 224 pixels.",
        "Grey images have no colours to balance: its white balance is a contrast stretch. It divides by zero on an "
        "image of one grey value.",
    ),
    TourStep(
        "Train/test split", "splits",
        "How many test images have their patient or a copy in training; then choose “grouped”, which leaves none.",
        "It draws image by image, so patients stand on both sides. It has no validation set: it selects its weights on "
        "its test images.",
        {"split": "article"},
    ),
    TourStep(
        "Normalization", "preprocessing",
        "In the sidebar, Scaling: the same image from 0 to 1, and from -1 to 1 as its pretrained weights expect.",
        "It feeds 0 to 1 into weights that were trained on -1 to 1. It says that scaling makes the computation "
        "cheaper, which it does not.",
    ),
    TourStep(
        "Augmentation", "preprocessing",
        "Further down, 21 augmented copies of one image: which of them could be a patient?",
        "It dropped zoom, shear and brightness because its accuracy fell, with only test images to measure that on. "
        "Mirroring puts the heart on the other side.",
    ),
    TourStep(
        "Model building", "training",
        "Choose the recipe “article”: its network and settings, ready to be trained as it was.",
        "It says that only the head is trained; in its code every layer is, and nothing has a seed.",
        {"show": "New"},
    ),
    TourStep(
        "Model evaluation", "evaluation",
        "How wide the 95 % intervals are, and which class is missed most.",
        "Its test images chose the epoch, no figure has an interval, and nothing was tested on another hospital. Its "
        "accuracy is 95.60 % here and 95.88 % in its conclusion.",
        {"images": "test", "view": "Summary"},
    ),
    TourStep(
        "Sample prediction", "evaluation",
        "The mistakes, with those radiographs that come with the app: click a cell of the confusion matrix.",
        "It shows twelve correct predictions and no mistake. At its accuracy 58 % of draws of twelve look like that.",
        {"images": "test", "view": "Errors"},
    ),
    TourStep(
        "Model explanation", "predict",
        "A healthy adult who is called COVID-19: does the map lie on the lungs?",
        "Its Grad-CAM is drawn beside the place that it stands for, takes the gradient after the softmax, and is read "
        "as proof from one map of one image.",
        {"example": "Wrong answer"},
    ),
)  # fmt: skip


def show_tour() -> None:
    """Show the ten steps, each with a button that opens its page, and offer them to print."""
    st.header("A guided tour: the article in ten steps")
    st.caption(_INTRODUCTION)
    for start in range(0, len(STEPS), 2):
        for column, number in zip(st.columns(2), (start, start + 1), strict=True):
            step = STEPS[number]
            with column.container(border=True, height="stretch"):
                if st.button(
                    f"**{number + 1:d}. {plain_text(step.title)}**", key=f"tour_{number + 1}", type="tertiary",
                    icon=":material/arrow_forward:", help=f"Opens {step.page.capitalize()} on the teaching set.",
                ):  # fmt: skip
                    for name, value in step.state.items():
                        choose(name, value)
                    st.switch_page(f"pages/{step.page}.py")
                st.markdown(step.look)
                st.caption(f"Where the article was wrong: {step.wrong}")
    offer_download(
        "The tour to print (HTML)", tour_html, "cxr-lab-tour.html", "text/html", icon=":material/print:",
        help="The ten steps with room for notes; open the file in a browser and print it.",
    )  # fmt: skip


def tour_html() -> str:
    """Return the tour as one HTML page for print, with a line for notes below each step."""
    rows = "".join(
        f"<li><h2>{html.escape(step.title)} <small>page {step.page.capitalize()}{_chosen(step)}</small></h2>"
        f"<p>{html.escape(step.look)}</p><p><em>Where the article was wrong:</em> {html.escape(step.wrong)}</p>"
        "<p class='notes'>Notes:</p></li>"
        for step in STEPS
    )
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>CXR Lab: the article in ten steps</title><style>"
        "body{font:11pt/1.35 sans-serif;max-width:46em;margin:1.5em auto;padding:0 1em}h2{font-size:1em;margin:0}"
        "small{font-weight:normal;color:#555}p{margin:.15em 0}li{margin:0 0 .7em;break-inside:avoid}"
        ".notes{border-bottom:1px solid #999;color:#777;font-size:.85em}</style>"
        f"<h1>The article in ten steps</h1><p>{html.escape(_INTRODUCTION)}</p><ol>{rows}</ol>"
        f"<p>{NOTICE}</p></html>"
    )


def _chosen(step: TourStep) -> str:
    """Return what is chosen on the page of a step, in brackets."""
    return f" ({', '.join(map(html.escape, step.choices.values()))})" if step.choices else ""
