"""The guided tour on Overview: every step leads to a page that shows it, and a teacher can print all of them."""

import re

import pytest

from cxr_core.config import NOTICE
from ui.overview.tour import STEPS, tour_html

from .test_pages import open_page, said

# Of the article's contents list.
SECTIONS = (
    "Dataset description", "Exploratory data analysis", "Loading and preprocessing", "Train/test split",
    "Normalization", "Augmentation", "Model building", "Model evaluation", "Sample prediction", "Model explanation",
)  # fmt: skip


def test_the_steps_are_the_articles_ten_sections_in_their_order():
    assert tuple(step.title for step in STEPS) == SECTIONS


def test_every_step_says_in_one_sentence_what_to_look_for_and_where_the_article_was_wrong():
    for step in STEPS:
        assert len(re.findall(r"[.?!](?= [A-Z]|$)", step.look)) == 1
        assert step.wrong.endswith(".")


@pytest.mark.parametrize("number", range(1, 11))
def test_a_step_opens_its_page_on_the_teaching_set_in_the_state_that_shows_it(number):
    app, step = open_page("overview", source_kept="kaggle", classifier_kept="another"), STEPS[number - 1]
    app.button(key=f"tour_{number}").click().run()
    assert not app.exception and not app.error
    assert said(app.title) == step.page.capitalize()
    for name, value in step.state.items():
        if f"{name}_choice" in app.session_state:
            assert app.session_state[f"{name}_choice"] == value
    for name, value in step.choices.items():
        assert app.session_state[f"{name}_choice"] == value
    if step.page in ("dataset", "splits", "preprocessing", "training"):
        assert "Data set: **Teaching set**" in said(app.caption)


def test_the_print_holds_every_step_and_the_notice():
    text = tour_html()
    assert text.count("<li>") == 10 and NOTICE in text
    assert all(f"<h2>{title} " in text for title in SECTIONS)
    assert text.count("Notes:") == 10
