"""Every option of every control of every page can be chosen, and none of them ends in an exception."""

import shutil

import cv2
import numpy as np
import pytest

from .test_jobs import job_of
from .test_pages import PAGES, open_page
from .test_training import ended_run

# All pages together take about a minute.
pytestmark = pytest.mark.slow
KINDS = (
    "selectbox",
    "segmented_control",
    "toggle",
    "checkbox",
    "slider",
    "select_slider",
    "number_input",
    "multiselect",
    "pagination",
)
# How many controls a page has at least, those that an option reveals included.
LEAST = {
    "duplicates": 3,
    "quality": 4,
    "splits": 3,
    "preprocessing": 25,
    "training": 60,
    "evaluation": 10,
    "predict": 7,
}
EXAMPLE = {"predict": {"example_choice": "Clear answer"}}


def controls(app):
    """Return {what a control is known by: the control}, those that can be used now."""
    found = [(kind, control) for kind in KINDS for control in getattr(app, kind)]
    return {
        (kind, getattr(control, "label", ""), control.key): control for kind, control in found if not control.disabled
    }


def options(kind, control):
    """Return the values that somebody can give a control; of a range or of pages, the ends."""
    if kind == "selectbox":
        return list(range(len(control.options)))
    if kind == "segmented_control":
        # What is required cannot be emptied by a second click.
        return [*control.options, *([] if control.proto.required else [None])]
    if kind == "multiselect":
        return [[], *([option] for option in control.options)]
    if kind in ("toggle", "checkbox"):
        return [True, False, True]
    if kind == "pagination":
        return [1, control.num_pages]
    if kind == "select_slider":
        return list(control.options)
    return [end for end in (control.min, control.max) if end is not None]


def press(app, known, option):
    """Give a control a value, and run the page with it."""
    control = controls(app)[known]
    if known[0] == "selectbox" and isinstance(option, int):
        control.select_index(option)
    else:
        control.set_value(option)
    app.run()


def press_everything(app, pressed, before=""):
    """Choose every option of every control, also of those that appear only with an option; returns what was pressed."""
    for known in controls(app):
        if known in pressed:
            continue
        pressed.add(known)
        at_first = controls(app)[known].value
        for option in options(known[0], controls(app)[known]):
            press(app, known, option)
            path = f"{before}{known[1]} = {option}"
            assert not app.exception, f"{path}: {app.exception[0].message}"
            press_everything(app, pressed, f"{path}, ")
        if controls(app)[known].value != at_first:
            press(app, known, at_first)
    return pressed


@pytest.fixture(scope="module")
def flawed(few, tmp_path_factory):
    """A folder of drawings, some of them twice and one far too dark, so that every page about data has work."""
    folder = shutil.copytree(few, tmp_path_factory.mktemp("flawed") / "drawings")
    for path in [path for path in sorted(folder.rglob("*.*")) if path.is_file()][:8]:
        shutil.copy(path, path.with_stem(f"{path.stem}-copy"))
    cv2.imwrite(str(folder / "normal" / "dark.png"), np.full((224, 224), 3, np.uint8))
    return folder


@pytest.mark.parametrize("name", PAGES)
def test_every_option_of_every_control_can_be_chosen(name, flawed, ungated, homes):
    ended_run(homes[0], "20260101-a")
    job_of(homes)
    data = {"source_kept": "folder", "folders_kept": str(flawed)}
    app = open_page(name, **data, **EXAMPLE.get(name, {}))
    # The same everywhere, and measuring another data set takes long.
    sources = {known for known in controls(app) if known[1] == "Data set" and name != "preprocessing"}
    pressed = press_everything(app, sources)
    assert len(pressed) >= LEAST.get(name, 0)
