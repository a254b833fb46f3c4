"""site_profile.py: a site's threshold is kept beside the app's work, and told of with every answer."""

import shutil

import pytest

from cxr_core.cli.main import main
from cxr_core.config import SHIPPED_MODEL_DIR, TEACHING_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.selective_prediction import answer_upload, operating_sentence
from cxr_core.inference.site_profile import SiteProfile, save_profile, site_profiles, use_profile

HARBOUR = SiteProfile("Harbour hospital", "covid", 0.2, 0.1, 40)


@pytest.fixture(scope="module")
def classifier():
    return load_classifier(SHIPPED_MODEL_DIR)


@pytest.fixture(scope="module")
def scan():
    rows = scan_dataset(TEACHING_DIR).table.query("class_name == 'covid'")
    with open(rows["path"].iloc[0], "rb") as file:
        return file.read()


def test_what_is_saved_is_found_again_and_nothing_is_written_into_the_classifiers_folder(classifier, tmp_path):
    before = sorted(SHIPPED_MODEL_DIR.iterdir())
    assert site_profiles(classifier, tmp_path / "sites") == {}
    save_profile(classifier, HARBOUR, tmp_path / "sites")
    assert site_profiles(classifier, tmp_path / "sites") == {"Harbour hospital": HARBOUR}
    assert sorted(SHIPPED_MODEL_DIR.iterdir()) == before


@pytest.mark.parametrize(("threshold", "words"), [(0.0, "reached, an alarm"), (1.0, "not reached, no alarm")])
def test_each_answer_says_whether_the_threshold_is_reached(classifier, scan, tmp_path, threshold, words):
    save_profile(classifier, SiteProfile("Hill", "covid", threshold, 0.1, 40), tmp_path)
    at_site = use_profile(classifier, "Hill", tmp_path)
    answer = answer_upload(at_site, scan)
    assert answer.notes[-1].startswith(f"Threshold of Hill for COVID-19: {words}. It was chosen on 40 images")
    assert operating_sentence(at_site.card, answer.prediction) is None
    assert not any("Threshold of" in note for note in answer_upload(classifier, scan).notes)


def test_a_name_that_was_not_saved_a_bad_one_and_a_broken_file_are_one_sentence(classifier, tmp_path):
    with pytest.raises(ValueError, match="no site 'Hill' for this classifier; saved: none yet"):
        use_profile(classifier, "Hill", tmp_path)
    for name in ("", "x" * 61, "a\nb"):
        with pytest.raises(ValueError, match="1 to 60 printable letters"):
            save_profile(classifier, SiteProfile(name, "covid", 0.2, 0.1, 40), tmp_path)
    save_profile(classifier, HARBOUR, tmp_path).write_text('{"name": 1}')
    with pytest.raises(ValueError, match="cannot be read; delete it"):
        site_profiles(classifier, tmp_path)


def test_the_commands_save_a_threshold_and_use_it(tmp_path, monkeypatch, capsys):
    for function in (save_profile, site_profiles, use_profile):
        monkeypatch.setattr(function, "__defaults__", (tmp_path / "sites",))
    rows = scan_dataset(TEACHING_DIR).table
    for name in ("normal", "covid"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for path in rows.loc[rows["class_name"] == name, "path"][:20]:
            shutil.copy(path, tmp_path / "images" / name)
    assert main(["site", str(tmp_path / "images"), "--save", "Harbour"]) == 0
    one = next((tmp_path / "images" / "covid").iterdir())
    assert main(["predict", str(one), "--site", "Harbour", "--json", "-"]) == 0
    assert "Threshold of Harbour for COVID-19" in capsys.readouterr().out
    assert main(["predict", str(one), "--site", "Elsewhere"]) == 1
    assert "saved: Harbour." in capsys.readouterr().err
