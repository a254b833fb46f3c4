"""Every rule by numbers that were made for it."""

import pytest

from cxr_core.robustness.shortcut_verdict import LEVELS, healthy_called_ill, share_kept, verdict_of

HEALTHY = {"normal": {"support": 100}, "covid": {"support": 0}}


def measured(hidden=0.5, frame=0.5, whole=0.95, facts=0.5, ratio=2.0, correlation=0.0, external=None):
    """What the shortcut test measured, with chance at one half and these scores of retrained heads."""
    scores = {"whole": whole, "lungs_hidden": hidden, "frame_only": frame}
    variants = [
        {"name": name, "retrained": score, "retrained_ci95": [score - 0.03, score + 0.03]}
        for name, score in scores.items()
    ]
    return {
        "chance": 0.5,
        "majority": "normal",
        "tested": 200,
        "variants": variants,
        "giveaway": {"accuracy": facts},
        "attention": [{"class_name": "covid", "share": 0.3 * ratio, "area": 0.3, "ratio": ratio}],
        "maps": {"randomised": [{"layers": "all layers", "correlation": correlation}]},
        "external": external or {},
    }


def called_ill(share):
    return {"nih": {"n": 100, "accuracy": 1 - share, "per_class": HEALTHY}}


def test_a_score_that_stays_with_the_lungs_hidden_is_a_shortcut_with_its_numbers():
    verdict = verdict_of(measured(hidden=0.937))
    assert verdict["level"] == "shortcut"
    assert verdict["sentences"] == [
        "With the lungs hidden, a retrained head still scores 93.7 % (whole images 95.0 %, chance 50.0 %): it does not "
        "need the lungs.",
        "Do not use it on patients from elsewhere.",
    ]


def test_a_score_that_falls_to_chance_with_the_lungs_hidden_is_no_sign_of_one():
    verdict = verdict_of(measured())
    assert verdict["level"] == "no sign"
    assert verdict["sentences"][0].endswith("it needs them.")
    assert "no proof" in verdict["sentences"][-1]


@pytest.mark.parametrize(
    ("case", "level"),
    [
        ({"hidden": 0.75}, "doubt"),
        ({"frame": 0.75}, "doubt"),
        ({"frame": 0.93}, "shortcut"),
        ({"facts": 0.9}, "doubt"),
        ({"ratio": 1.0}, "doubt"),
        ({"external": called_ill(0.98)}, "shortcut"),
        ({"external": called_ill(0.03)}, "no sign"),
        ({"correlation": 0.9}, "no sign"),
        ({"whole": 0.51}, "unknown"),
    ],
)
def test_each_rule_has_its_level(case, level):
    assert verdict_of(measured(**case))["level"] == level


def test_healthy_people_called_ill_are_counted_in_words():
    sentences = verdict_of(measured(external=called_ill(0.98)))["sentences"]
    assert "It called 98.0 % of 100 healthy people (nih) ill." in sentences


def test_not_sure_is_not_called_ill():
    cells = {"normal": {"share": 0.5}, "covid": {"share": 0.04}, "virus": {"share": 0.01}, "not sure": {"share": 0.45}}
    metrics = called_ill(0.5)["nih"] | {"answers": {"per_class": {"normal": cells}}}
    assert healthy_called_ill(metrics) == pytest.approx(0.05)


def test_maps_that_do_not_need_the_weights_are_warned_of():
    assert any("do not read them" in sentence for sentence in verdict_of(measured(correlation=0.9))["sentences"])


def test_a_lead_that_may_be_chance_is_no_lead():
    variant = {"retrained": 0.52, "retrained_ci95": [0.49, 0.55]}
    assert share_kept(variant, 0.9, 0.5) == 0


def test_an_external_set_of_several_classes_is_no_healthy_one():
    mixed = {"nih": called_ill(0.9)["nih"] | {"per_class": {"normal": {"support": 5}, "covid": {"support": 5}}}}
    assert verdict_of(measured(external=mixed))["level"] == "no sign"


@pytest.mark.parametrize(
    ("case", "title"),
    [
        ({"hidden": 0.937}, "It takes a shortcut"),
        ({"hidden": 0.75}, "There is reason to doubt it"),
        ({}, "No sign of a shortcut here"),
        ({"whole": 0.51}, "Too few images to tell"),
    ],
)
def test_every_level_has_a_title(case, title):
    assert LEVELS[verdict_of(measured(**case))["level"]] == title
