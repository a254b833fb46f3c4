"""Every rule by numbers that were made for it."""

import numpy as np
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


# Every threshold, at a chance of 0 and whole images always right: there a score is exactly the share that is kept.


def exact(hidden=0.1, frame=0.1, low=0.05, **others):
    result = measured(hidden, frame, whole=1.0, facts=others.pop("facts", 0.1), **others)
    result["chance"] = 0.0
    for variant in result["variants"]:
        variant["retrained_ci95"] = [low, 1.0]
    return result


def around(value):
    """The next number below, the value and the next above."""
    return float(np.nextafter(value, 0)), value, float(np.nextafter(value, 1))


def said_levels(cases):
    return [verdict_of(case)["level"] for case in cases]


def test_hidden_lungs_that_keep_three_quarters_are_a_shortcut_and_two_fifths_a_doubt():
    assert said_levels(exact(hidden=v) for v in around(0.75)) == ["doubt", "shortcut", "shortcut"]
    assert said_levels(exact(hidden=v) for v in around(0.4)) == ["no sign", "doubt", "doubt"]
    told = [verdict_of(exact(hidden=v))["sentences"][0] for v in (0.75, 0.4, 0.1)]
    assert "it does not need the lungs" in told[0]
    assert "much of what it uses is not in the lungs" in told[1]
    assert "it needs them" in told[2]


def test_a_frame_that_keeps_three_quarters_is_a_shortcut_and_two_fifths_a_doubt():
    assert said_levels(exact(frame=v) for v in around(0.75)) == ["doubt", "shortcut", "shortcut"]
    assert said_levels(exact(frame=v) for v in around(0.4)) == ["no sign", "doubt", "doubt"]
    told = [" ".join(verdict_of(exact(frame=v))["sentences"]) for v in around(0.4)]
    assert ["From the frame" in sentences for sentences in told] == [False, True, True]


def test_file_facts_that_keep_three_quarters_are_a_doubt():
    assert said_levels(exact(facts=v) for v in around(0.75)) == ["no sign", "doubt", "doubt"]


def test_what_file_facts_keep_is_measured_from_chance():
    # Chance 0.5, whole images 1.0: three quarters of the lead are 0.875.
    cases = [measured(hidden=0.5, frame=0.5, whole=1.0, facts=v) for v in around(0.875)]
    assert said_levels(cases) == ["no sign", "doubt", "doubt"]
    assert verdict_of(measured(facts=None))["level"] == "no sign"


def test_a_fifth_of_the_healthy_called_ill_is_a_shortcut():
    def answers(ill):
        cells = {"normal": {"share": 1 - ill}, "covid": {"share": ill}, "not sure": {"share": 0.0}}
        return {"nih": called_ill(ill)["nih"] | {"answers": {"per_class": {"normal": cells}}}}

    assert said_levels(exact(external=answers(v)) for v in around(0.2)) == ["no sign", "shortcut", "shortcut"]


def test_maps_that_lie_in_the_lungs_no_more_than_1_15_times_as_their_area_are_a_doubt():
    assert said_levels(exact(ratio=v) for v in (1.1499, 1.15, 1.1501)) == ["doubt", "doubt", "no sign"]


def test_maps_that_correlate_by_a_half_with_shuffled_weights_are_warned_of():
    told = [" ".join(verdict_of(exact(correlation=v))["sentences"]) for v in around(0.5)]
    assert ["do not read them" in sentences for sentences in told] == [False, True, True]


def test_only_weights_that_are_shuffled_in_all_layers_count():
    result = exact(correlation=0.1)
    result["maps"]["randomised"].insert(0, {"layers": "last layer", "correlation": 0.9})
    assert not any("do not read them" in sentence for sentence in verdict_of(result)["sentences"])
    result["maps"]["randomised"].clear()
    assert verdict_of(result)["level"] == "no sign"


def test_whole_images_whose_interval_begins_at_chance_tell_nothing():
    def whole_from(low):
        result = measured()
        result["variants"][0]["retrained_ci95"] = [low, 1.0]
        return result

    assert said_levels(whole_from(v) for v in around(0.5)) == ["unknown", "unknown", "no sign"]
    result = measured()
    result["variants"][0]["retrained_ci95"] = None
    assert verdict_of(result)["level"] == "unknown"


def test_a_share_is_kept_where_the_interval_begins_above_chance():
    kept = [share_kept({"retrained": 0.75, "retrained_ci95": [low, 1.0]}, 1.0, 0.5) for low in around(0.5)]
    assert kept == [0, 0, 0.5]
    assert share_kept({"retrained": 0.75, "retrained_ci95": None}, 1.0, 0.5) == 0.5


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
