"""For each rule an image that it must catch and a near miss that it must not."""

import dataclasses

import cv2
import numpy as np
import pandas as pd
import pytest

from core.audit.test_chest_distance import class_features
from cxr_core.audit.quality_flags import FLAGS, Flag, flag_images, flag_values, gallery_of_flag
from cxr_core.data.phantoms import draw_phantom
from cxr_core.imaging.image_properties import measure_image


def draw_chest(seed=1):
    """A drawn chest of 512 × 512 pixels with fine detail, as a radiograph has it."""
    rng = np.random.default_rng(seed)
    chest = cv2.resize(draw_phantom("normal", rng), (512, 512)).astype(float)
    detail = cv2.resize(rng.normal(0, 9, (224, 224)), (512, 512), interpolation=cv2.INTER_CUBIC)
    return np.clip(chest + detail, 0, 255).astype(np.uint8)


def with_greys(image, mean, spread):
    """The same image with another mean and standard deviation of its grey values, in [0, 1]."""
    standard = (image - image.mean()) / image.std()
    return np.clip(255 * (mean + spread * standard), 0, 255).astype(np.uint8)


def framed(image, share, grey):
    """The image shrunk so that a frame takes `share` of the area."""
    side = round(len(image) * np.sqrt(1 - share))
    canvas = np.full_like(image, grey)
    start = (len(image) - side) // 2
    canvas[start : start + side, start : start + side] = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return canvas


def lettered(image, letters, where):
    image = image.copy()
    cv2.putText(image, letters, where, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2, cv2.LINE_AA)
    return image


def with_arrow(image, where, grey):
    image = image.copy()
    tip = np.array([[0, 0], [-24, -12], [-24, 12]]) + where
    cv2.fillPoly(image, [tip], grey, cv2.LINE_AA)
    return image


def from_the_side():
    """One body with one dark lung in its middle and no spine between two lungs."""
    y, x = np.mgrid[0:512, 0:512] / 512
    image = 20 + 170 * (np.hypot((x - 0.5) / 0.3, (y - 0.55) / 0.6) < 1)
    return cv2.GaussianBlur(image - 100.0 * (np.hypot((x - 0.5) / 0.2, (y - 0.5) / 0.3) < 1), (0, 0), 9).astype(
        np.uint8
    )


def tinted(image, shift):
    return cv2.merge([image, image, cv2.subtract(image, shift)])


def as_colour_jpeg(image):
    """The grey image as a scanner's colour JPEG: faint colour noise, strongly compressed."""
    noise = np.random.default_rng(0).normal(0, 3, (*image.shape, 3))
    colour = np.clip(image[..., None] + noise, 0, 255).astype(np.uint8)
    return cv2.imdecode(cv2.imencode(".jpg", colour, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)


def flags_of(*images, files=None, class_name="covid", **options):
    """Flags of images in memory, as a set per image."""
    rows = [
        measure_image(p) | {"aspect": p.shape[1] / p.shape[0], "bytes_per_pixel": 1.0, "error": None} for p in images
    ]
    files = files or [f"{class_name}/{i}.png" for i in range(len(images))]
    table = pd.DataFrame({"file": files, "class_name": class_name})
    found = flag_images(table, pd.DataFrame(rows), **options)
    return [set(found["flag"][found["row"] == i]) for i in range(len(images))]


CHEST = draw_chest()
CASES = {
    "two_valued": (
        cv2.threshold(CHEST, np.median(CHEST), 255, cv2.THRESH_BINARY)[1],
        with_greys(CHEST, 0.5, 0.7),
    ),
    "inverted": (255 - CHEST, framed(CHEST, 0.3, 255)),
    "too_dark": (with_greys(CHEST, 0.27, 0.12), with_greys(CHEST, 0.33, 0.12)),
    "too_bright": (with_greys(CHEST, 0.78, 0.12), with_greys(CHEST, 0.70, 0.12)),
    "low_contrast": (with_greys(CHEST, 0.5, 0.07), with_greys(CHEST, 0.5, 0.1)),
    "blurred": (cv2.GaussianBlur(CHEST, (0, 0), 1.6), cv2.GaussianBlur(CHEST, (0, 0), 1.1)),
    "colour": (tinted(CHEST, 30), as_colour_jpeg(CHEST)),
    "text": (lettered(CHEST, "PORTABLE", (20, 40)), lettered(CHEST, "AP", (20, 40))),
    "black_frame": (framed(CHEST, 0.25, 0), framed(CHEST, 0.15, 0)),
    "white_frame": (framed(CHEST, 0.15, 255), framed(CHEST, 0.05, 255)),
    "aspect": (CHEST[:340], CHEST[:370]),
}


def test_a_plain_chest_has_no_flag():
    assert flags_of(CHEST) == [set()]


@pytest.mark.parametrize("name", CASES)
def test_the_flag_catches_its_image(name):
    assert name in flags_of(CASES[name][0])[0]


@pytest.mark.parametrize("name", CASES)
def test_a_near_miss_is_not_flagged(name):
    assert name not in flags_of(CASES[name][1])[0]


def test_a_jpeg_of_a_thresholded_image_is_almost_two_valued():
    jpeg = cv2.imencode(".jpg", CASES["two_valued"][0], [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    assert "two_valued" in flags_of(cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE))[0]


def test_a_flat_image_has_low_contrast_and_is_not_called_thresholded():
    (flags,) = flags_of(np.full((300, 300), 128, np.uint8))
    assert "low_contrast" in flags
    assert "two_valued" not in flags


def test_a_small_sharp_image_is_not_called_blurred():
    small = cv2.resize(CHEST, (224, 224), interpolation=cv2.INTER_AREA)
    assert "blurred" not in flags_of(small)[0]
    assert "blurred" in flags_of(cv2.resize(cv2.resize(small, (60, 60), interpolation=cv2.INTER_AREA), (512, 512)))[0]


def test_a_dark_frame_does_not_make_an_image_too_dark():
    assert "too_dark" not in flags_of(framed(CHEST, 0.6, 0))[0]


@pytest.mark.parametrize("grey", [0, 255])
def test_an_arrow_on_the_lung_is_flagged(grey):
    lung = with_greys(CHEST, 0.5, 0.05)
    assert "text" in flags_of(with_arrow(lung, (180, 250), grey))[0]


def test_a_faint_soft_disc_on_the_lung_is_no_arrow():
    lung = with_greys(CHEST, 0.5, 0.05)
    electrode = cv2.circle(np.zeros(lung.shape, np.float32), (180, 250), 10, 60, -1)
    assert "text" not in flags_of((lung + cv2.GaussianBlur(electrode, (0, 0), 2)).astype(np.uint8))[0]


def test_a_coloured_arrow_is_flagged_and_a_coloured_speck_is_not():
    colour = cv2.cvtColor(CHEST, cv2.COLOR_GRAY2BGR)
    speck = cv2.rectangle(colour.copy(), (200, 200), (226, 226), (0, 255, 255), -1)
    arrow = cv2.arrowedLine(colour.copy(), (100, 200), (200, 250), (0, 0, 255), 14)
    assert "colour" in flags_of(arrow)[0]
    assert "colour" not in flags_of(speck)[0]


def test_black_letters_on_white_are_text_too():
    assert "text" in flags_of(255 - lettered(255 - CHEST, "2020-01-31", (150, 480)))[0]


@pytest.mark.parametrize("name", ["covid-19-pneumonia-15-L.jpg", "chest_lateral.png", "x-LAT.jpeg.jpg"])
def test_a_side_view_that_is_named_so_is_flagged(name):
    assert "lateral" in flags_of(from_the_side(), files=[f"covid/{name}"])[0]


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (CHEST, "nodule-L.jpg"),
        (from_the_side(), "bilateral.jpg"),
        (from_the_side(), "taken-later.jpg"),
        (from_the_side(), "x-PA.jpg"),
    ],
)
def test_a_frontal_view_named_left_and_a_name_that_says_nothing_are_not_called_side_views(image, name):
    assert "lateral" not in flags_of(image, files=[f"covid/{name}"])[0]


def test_the_name_of_another_disease_becomes_a_flag():
    flags = flags_of(CHEST, CHEST, files=["covid/legionella-1.jpg", "covid/covid-19-legionella-1.jpg"])
    assert flags == [{"other_disease"}, set()]


def test_an_image_unlike_its_class_is_flagged_and_an_extreme_member_of_it_is_not():
    rng = np.random.default_rng(0)
    features = class_features(202, rng)
    features[7] = rng.permutation(features[7])
    features[8] = class_features(1, rng, reach=2)
    table = pd.DataFrame({"file": [f"a/{i}.png" for i in range(202)], "class_name": "a"})
    measures = pd.DataFrame([measure_image(CHEST) | {"aspect": 1.0, "error": None}] * 202)
    found = flag_images(table, measures, features)
    assert found["row"][found["flag"] == "not_chest"].tolist() == [7]


def test_flags_come_in_the_rules_order_and_the_worst_first():
    images = [with_greys(CHEST, mean, 0.05) for mean in (0.28, 0.2, 0.8, 0.9)]
    rows = [measure_image(p) | {"aspect": 1.0, "error": None} for p in images]
    table = pd.DataFrame({"file": list("abcd"), "class_name": "covid"})
    found = flag_images(table, pd.DataFrame(rows))
    assert list(found.columns) == ["row", "file", "flag", "value", "threshold"]
    assert list(dict.fromkeys(found["flag"])) == [n for n in FLAGS if n in set(found["flag"])]
    assert found["file"][found["flag"] == "too_dark"].tolist() == ["b", "a"]
    assert found["file"][found["flag"] == "too_bright"].tolist() == ["d", "c"]
    assert (found["file"] == table["file"].to_numpy()[found["row"]]).all()


def test_a_threshold_can_be_changed_and_is_reported():
    measures = pd.DataFrame([measure_image(CHEST) | {"aspect": 1.0, "error": None}])
    table = pd.DataFrame({"file": ["a.png"], "class_name": ["covid"]})
    found = flag_images(table, measures, thresholds={"too_dark": 0.9, "text": 0})
    assert found[["flag", "threshold"]].to_numpy().tolist() == [["too_dark", 0.9], ["text", 0.0]]
    assert len(flag_images(table, measures)) == 0


def test_a_threshold_for_no_flag_is_refused():
    with pytest.raises(ValueError, match="received nonsense"):
        flags_of(CHEST, thresholds={"nonsense": 1})


def test_an_image_that_could_not_be_measured_is_flagged_by_its_name_alone():
    measures = pd.DataFrame([dict.fromkeys(measure_image(CHEST), np.nan) | {"aspect": np.nan, "error": "Broken."}])
    table = pd.DataFrame({"file": ["covid/legionella.png"], "class_name": ["covid"]})
    assert flag_images(table, measures)["flag"].tolist() == ["other_disease"]


def test_measures_of_another_length_are_refused():
    measures = pd.DataFrame([measure_image(CHEST) | {"aspect": 1.0, "error": None}] * 2)
    table = pd.DataFrame({"file": ["a.png"], "class_name": ["covid"]})
    with pytest.raises(ValueError, match="measures must have one row per image: 1; received 2"):
        flag_images(table, measures)
    with pytest.raises(ValueError, match="features must have one row per image: 1; received 3"):
        flag_values(table, measures[:1], np.ones((3, 4)))


def test_an_empty_table_has_no_flags():
    measures = pd.DataFrame([measure_image(CHEST) | {"aspect": 1.0, "error": None}])[:0]
    found = flag_images(pd.DataFrame({"file": [], "class_name": []}, dtype=str), measures, np.ones((0, 5)))
    assert len(found) == 0


@pytest.mark.parametrize("flag", FLAGS.values(), ids=FLAGS)
def test_each_rule_says_what_it_is_and_why_it_matters(flag):
    assert flag.title
    assert flag.help.endswith(".")
    assert "{" not in flag.describe(flag.threshold)
    with pytest.raises(dataclasses.FrozenInstanceError):
        flag.title = "other"


def test_a_flag_may_compute_what_it_compares(monkeypatch):
    def narrower(table, measures, features):
        return table["width"].to_numpy(float) * measures["aspect"].to_numpy(float)

    monkeypatch.setitem(FLAGS, "narrow", Flag("narrow", "Narrow", "Why.", "narrowness", low=10, values=narrower))
    measures = pd.DataFrame([measure_image(CHEST) | {"aspect": aspect, "error": None} for aspect in (1.0, 1.1)])
    table = pd.DataFrame({"file": ["a.png", "b.png"], "class_name": "covid", "width": 10})
    # Rows are matched by their order, whatever their index.
    found = flag_images(table, measures.set_axis([7, 3]))
    assert found[["file", "flag", "value"]].to_numpy().tolist() == [["a.png", "narrow", 10.0]]


def test_a_rule_has_one_threshold():
    with pytest.raises(ValueError, match="either a low or a high threshold"):
        Flag("a", "A", "B.", "c", low=1, high=2)


@pytest.mark.parametrize(
    ("order", "rows"), [("worst", [2, 0, 3]), ("mildest", [3, 0, 2]), ("class", [0, 3, 2]), ("file", [3, 2, 0])]
)
def test_what_a_rule_catches_can_be_sorted(order, rows):
    table = pd.DataFrame({"file": ["a/z.png", "a/y.png", "b/m.png", "a/b.png"], "class_name": ["a", "a", "b", "a"]})
    values = pd.DataFrame({flag.measure: np.nan for flag in FLAGS.values()}, index=range(4))
    values["content_mean"] = [0.2, 0.5, 0.1, 0.25]
    found = gallery_of_flag(table, values, "too_dark", 0.3, order)
    assert found["row"].tolist() == rows
    assert found["value"].tolist() == values["content_mean"].iloc[rows].tolist()


def test_an_order_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="order must be one of worst, mildest, class, file; received 'size'"):
        gallery_of_flag(pd.DataFrame(), pd.DataFrame(), "too_dark", 0.3, "size")


def test_a_wrong_label_is_the_first_thing_to_review():
    assert next(iter(FLAGS)) == "other_disease"
