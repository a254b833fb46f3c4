"""The page "Your hospital": the built-in classifier on the teaching set, and on too few images."""

import re
import shutil

from cxr_core.data.dataset import scan_dataset
from cxr_core.inference.site_profile import save_profile, site_profiles, use_profile

from .test_pages import open_page, said

NUMBER = re.compile(r"[\d.]+")


def test_the_page_says_how_different_the_images_are_and_which_threshold_the_site_needs():
    app = open_page("hospital")
    assert not app.exception
    assert {m.label for m in app.metric} == {"Images", "Get an answer", "Told from training images"}
    told = said([*app.warning, *app.info])
    assert "the training images" in told
    assert "A threshold of" in told
    # Its cells are read as Markdown, in which brackets and points are escaped.
    looks = app.table[0].value.replace(r"\\", "", regex=True)
    assert all(text.endswith(" to 512)") for text in looks["here"] if text.startswith("512 "))
    assert {len(number.partition(".")[2]) for text in looks["here"][:-1] for number in NUMBER.findall(text)} == {3}
    before = told
    app.number_input[0].set_value(40).run()
    assert said([*app.warning, *app.info]) != before


def test_five_images_are_too_few_in_one_sentence(few, tmp_path):
    (tmp_path / "site" / "normal").mkdir(parents=True)
    for path in scan_dataset(few).table["path"][:5]:
        shutil.copy(path, tmp_path / "site" / "normal")
    app = open_page("hospital", source_kept="folder", folders_kept=str(tmp_path / "site"))
    assert not app.exception
    assert said(app.error).startswith("A site needs 30 images or more that can be read; received 5.")


def test_a_threshold_that_is_saved_is_told_of_on_predict(tmp_path, monkeypatch):
    for function in (save_profile, site_profiles, use_profile):
        monkeypatch.setattr(function, "__defaults__", (tmp_path / "sites",))
    assert "Site" not in [s.label for s in open_page("predict").sidebar.selectbox]
    app = open_page("hospital")
    app.text_input[0].set_value("*Harbour*").run()
    next(b for b in app.button if b.label == "Save threshold").click().run()
    assert said(app.success).startswith("Saved: *Harbour*.")
    app = open_page("predict", example_choice="Clear answer", site_kept="*Harbour*")
    assert not app.exception
    assert "Threshold of *Harbour* for COVID-19" in said(app.info)


def test_a_threshold_without_a_name_is_not_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(save_profile, "__defaults__", (tmp_path / "sites",))
    app = open_page("hospital")
    next(b for b in app.button if b.label == "Save threshold").click().run()
    assert "must have 1 to 60 printable letters" in said(app.error)
    assert not (tmp_path / "sites").exists()
