"""Every rule by numbers that were made for it."""

import numpy as np
import pytest

from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.inference.model_card import Card
from cxr_core.robustness.shortcut_verdict import (
    LEVELS,
    card_shortcuts,
    healthy_called_ill,
    judge_again,
    maps_sentence,
    share_kept,
    verdict_of,
)

HEALTHY = {"normal": {"support": 100}, "covid": {"support": 0}}


def scored(name, accuracy, retrained):
    """One variant, with intervals of 6 per cent."""
    return {
        "name": name,
        "accuracy": accuracy,
        "accuracy_ci95": [accuracy - 0.03, accuracy + 0.03],
        "retrained": retrained,
        "retrained_ci95": [retrained - 0.03, retrained + 0.03],
    }


def measured(
    hidden=0.5, frame=0.5, whole=0.95, data_hidden=0.5, data_frame=0.5, data_whole=0.95, facts=0.5, ratio=2.0,
    correlation=0.0, external=None,
):  # fmt: skip
    """What the shortcut test measured, with chance at one half: scores of the classifier, and of retrained heads."""
    return {
        "chance": 0.5,
        "majority": "normal",
        "tested": 200,
        "variants": [
            scored("whole", whole, data_whole),
            scored("lungs_hidden", hidden, data_hidden),
            scored("frame_only", frame, data_frame),
        ],
        "giveaway": {"accuracy": facts},
        "attention": [{"class_name": "covid", "share": 0.3 * ratio, "area": 0.3, "ratio": ratio}],
        "maps": {"randomised": [{"layers": "all layers", "correlation": correlation}]},
        "external": external or {},
    }


def called_ill(share):
    return {"nih": {"n": 100, "accuracy": 1 - share, "per_class": HEALTHY}}


def test_a_classifier_that_keeps_its_score_with_the_lungs_hidden_takes_a_shortcut_and_the_three_answers_stand_apart():
    verdict = verdict_of(measured(hidden=0.937, data_hidden=0.942))
    assert verdict["level"] == "shortcut"
    assert verdict["sentences"] == [
        "With the lungs hidden, this classifier still scores 93.7 % (whole images 95.0 %, chance 50.0 %): it does not "
        "need the lungs.",
        "It beats chance: on whole images it is right in 95.0 % of 200 cases; always answering Normal is right in "
        "50.0 %.",
        "With the lungs hidden, a retrained head still scores 94.2 % (whole images 95.0 %, chance 50.0 %): these data "
        "invite a shortcut.",
        "Do not use it on patients from elsewhere.",
    ]


def test_data_that_give_the_class_away_say_nothing_about_a_classifier_that_falls_to_chance():
    verdict = verdict_of(measured(data_hidden=0.937))
    assert verdict["level"] == "invitation"
    assert verdict["sentences"][0].startswith("With the lungs hidden, this classifier falls to 50.0 %")
    assert not any("does not need the lungs" in sentence for sentence in verdict["sentences"])
    assert verdict["sentences"][-1].startswith("That this classifier takes one is not shown")


def test_a_score_that_falls_to_chance_with_the_lungs_hidden_is_no_sign_of_one():
    verdict = verdict_of(measured())
    assert verdict["level"] == "no sign"
    assert "no better than chance: it needs them, or" in verdict["sentences"][0]
    assert "no proof" in verdict["sentences"][-1]


@pytest.mark.parametrize("case", [{}, {"data_hidden": 0.937}, {"external": {}}])
def test_a_classifier_that_does_not_beat_chance_gets_another_verdict_than_a_good_one(case):
    shuffled, good = measured(whole=0.29, hidden=0.29, **case), measured(**case)
    verdict = verdict_of(shuffled)
    assert verdict["level"] == "chance"
    assert verdict["sentences"][1].startswith("It does not beat chance: on whole images it is right in 29.0 %")
    assert verdict["sentences"][:2] != verdict_of(good)["sentences"][:2]
    # What the data give away does not depend on the classifier's head.
    assert verdict["sentences"][2] == verdict_of(good)["sentences"][2]


def test_a_classifier_that_always_answers_the_largest_class_does_not_beat_chance():
    assert verdict_of(measured(whole=0.5, hidden=0.5, frame=0.5))["level"] == "chance"


@pytest.mark.parametrize(
    ("case", "level"),
    [
        ({"hidden": 0.75}, "doubt"),
        ({"frame": 0.75}, "doubt"),
        ({"frame": 0.93}, "shortcut"),
        ({"data_hidden": 0.75}, "invitation"),
        ({"data_hidden": 0.937}, "invitation"),
        ({"data_frame": 0.75}, "invitation"),
        ({"facts": 0.9}, "invitation"),
        ({"ratio": 1.0}, "doubt"),
        ({"ratio": 1.0, "data_hidden": 0.937}, "doubt"),
        ({"external": called_ill(0.98)}, "doubt"),
        ({"external": called_ill(0.03)}, "no sign"),
        ({"correlation": 0.9}, "no sign"),
        ({"whole": 0.51}, "unknown"),
        ({"data_whole": 0.51}, "no sign"),
    ],
)
def test_each_rule_has_its_level(case, level):
    assert verdict_of(measured(**case))["level"] == level


def test_heads_that_learn_nothing_even_from_whole_images_tell_nothing_about_the_data():
    sentences = verdict_of(measured(data_whole=0.51, data_hidden=0.51, facts=0.9))["sentences"]
    assert any("cannot tell what the data give away" in sentence for sentence in sentences)
    assert not any("invite" in sentence for sentence in sentences)


# Every threshold, at a chance of 0 and whole images always right: there a score is exactly the share that is kept.


def exact(hidden=0.1, frame=0.1, data_hidden=0.1, data_frame=0.1, low=0.05, **others):
    result = measured(
        hidden, frame, 1.0, data_hidden, data_frame, data_whole=1.0, facts=others.pop("facts", 0.1), **others
    )
    result["chance"] = 0.0
    for variant in result["variants"]:
        variant["accuracy_ci95"] = variant["retrained_ci95"] = [low, 1.0]
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
    assert "for most of its answers it needs them" in told[2]


def test_a_frame_that_keeps_three_quarters_is_a_shortcut_and_two_fifths_a_doubt():
    assert said_levels(exact(frame=v) for v in around(0.75)) == ["doubt", "shortcut", "shortcut"]
    assert said_levels(exact(frame=v) for v in around(0.4)) == ["no sign", "doubt", "doubt"]
    told = [" ".join(verdict_of(exact(frame=v))["sentences"]) for v in around(0.4)]
    assert ["From the frame" in sentences for sentences in told] == [False, True, True]


def test_data_that_keep_two_fifths_without_lungs_or_from_the_frame_invite_a_shortcut():
    for what in ("data_hidden", "data_frame"):
        assert said_levels(exact(**{what: v}) for v in around(0.4)) == ["no sign", "invitation", "invitation"]
    told = [verdict_of(exact(data_hidden=v))["sentences"][2] for v in around(0.75)]
    assert ["in part" in sentence for sentence in told] == [True, False, False]


def test_file_facts_that_keep_three_quarters_invite_a_shortcut():
    assert said_levels(exact(facts=v) for v in around(0.75)) == ["no sign", "invitation", "invitation"]


def test_what_file_facts_keep_is_measured_from_chance():
    # Chance 0.5, whole images 1.0: three quarters of the lead are 0.875.
    cases = [measured(data_whole=1.0, facts=v) for v in around(0.875)]
    assert said_levels(cases) == ["no sign", "invitation", "invitation"]
    assert verdict_of(measured(facts=None))["level"] == "no sign"


def test_a_fifth_of_the_healthy_called_ill_is_a_doubt_that_ends_with_a_warning():
    def answers(ill):
        cells = {"normal": {"share": 1 - ill}, "covid": {"share": ill}, "not sure": {"share": 0.0}}
        return {"nih": called_ill(ill)["nih"] | {"answers": {"per_class": {"normal": cells}}}}

    cases = [exact(external=answers(v)) for v in around(0.2)]
    assert said_levels(cases) == ["no sign", "doubt", "doubt"]
    told = [verdict_of(case)["sentences"][-1] for case in cases]
    assert [sentence == "Do not use it on patients from elsewhere." for sentence in told] == [False, True, True]


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
        result["variants"][0]["accuracy_ci95"] = [low, 1.0]
        return result

    assert said_levels(whole_from(v) for v in around(0.5)) == ["unknown", "unknown", "no sign"]
    result = measured()
    result["variants"][0]["accuracy_ci95"] = None
    assert verdict_of(result)["level"] == "unknown"


def test_a_share_is_kept_where_the_interval_begins_above_chance():
    kept = [share_kept((0.75, [low, 1.0]), 1.0, 0.5) for low in around(0.5)]
    assert kept == [0, 0, 0.5]
    assert share_kept((0.75, None), 1.0, 0.5) == 0.5


def test_healthy_people_called_ill_are_counted_in_words():
    sentences = verdict_of(measured(external=called_ill(0.98)))["sentences"]
    assert "The classifier called 98.0 % of 100 healthy people (NIH Clinical Center) ill." in sentences


def test_not_sure_is_not_called_ill():
    cells = {"normal": {"share": 0.5}, "covid": {"share": 0.04}, "virus": {"share": 0.01}, "not sure": {"share": 0.45}}
    metrics = called_ill(0.5)["nih"] | {"answers": {"per_class": {"normal": cells}}}
    assert healthy_called_ill(metrics) == pytest.approx(0.05)


def test_maps_that_do_not_need_the_weights_are_warned_of():
    assert any("do not read them" in sentence for sentence in verdict_of(measured(correlation=0.9))["sentences"])


def test_it_is_said_whether_maps_depend_on_what_was_learned():
    def sentence(*correlations):
        return maps_sentence({"randomised": [{"layers": "all", "correlation": value} for value in correlations]})

    assert sentence(0.9, 0.1) == (
        "Its maps change when its weights are shuffled (correlation 0.10): they depend on what it learned."
    )
    assert "stay alike" in sentence(0.1, 0.5)
    assert sentence() is None
    assert maps_sentence(None) is None


def test_a_lead_that_may_be_chance_is_no_lead():
    assert share_kept((0.52, [0.49, 0.55]), 0.9, 0.5) == 0


def test_an_external_set_of_several_classes_is_no_healthy_one():
    mixed = {"nih": called_ill(0.9)["nih"] | {"per_class": {"normal": {"support": 5}, "covid": {"support": 5}}}}
    assert verdict_of(measured(external=mixed))["level"] == "no sign"


@pytest.mark.parametrize(
    ("case", "title"),
    [
        ({"hidden": 0.937}, "It takes a shortcut"),
        ({"hidden": 0.75}, "There is reason to doubt it"),
        ({"data_hidden": 0.937}, "These data invite a shortcut"),
        ({"whole": 0.29}, "It does not beat chance"),
        ({}, "No sign of a shortcut here"),
        ({"whole": 0.51}, "Too few images to tell"),
    ],
)
def test_every_level_has_a_title(case, title):
    assert LEVELS[verdict_of(measured(**case))["level"]] == title


OLD_VERDICT = {"level": "shortcut", "sentences": ["With the lungs hidden, a retrained head still scores 93.7 %."]}


def test_a_verdict_of_earlier_rules_is_reached_anew_from_its_own_numbers():
    stored = measured(data_hidden=0.937) | {"verdict": OLD_VERDICT}
    assert judge_again(stored)["verdict"] == verdict_of(stored)
    present = stored | {"verdict": verdict_of(stored) | {"sentences": ["As it was said."]}}
    assert judge_again(present) == present


def test_a_card_of_earlier_rules_is_judged_anew_by_what_it_holds():
    full = measured(data_hidden=0.937, external=called_ill(0.3)) | {"verdict": OLD_VERDICT}
    summary = {name: full[name] for name in ("chance", "majority", "tested", "variants", "attention", "verdict")}
    metrics = {"shortcuts": summary, "external": full["external"]}
    card = Card(name="c", classes=("normal", "covid"), preprocessing=Preprocessing(), map_layers=(), metrics=metrics)
    verdict = card_shortcuts(card)["verdict"]
    assert verdict["level"] == "doubt"
    assert "The classifier called 30.0 % of 100 healthy people (NIH Clinical Center) ill." in verdict["sentences"]
    assert "external" not in summary


def test_a_card_without_the_test_has_no_verdict():
    assert card_shortcuts(Card(name="c", classes=("a", "b"), preprocessing=Preprocessing(), map_layers=())) is None
