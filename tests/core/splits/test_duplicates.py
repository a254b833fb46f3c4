"""Copies are found however they were made, and strangers are not joined."""

import tempfile
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import TEXTURE_SIDE, draw_texture

from cxr_core.data.dataset import scan_dataset
from cxr_core.data.prepared_images import PreparedImages, prepare_images
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.splits.duplicates import (
    MIN_POINTS,
    best_member,
    differences,
    duplicate_groups,
    find_duplicates,
    group_table,
    matching_points,
)

SIDE = TEXTURE_SIDE


def cropped(image, *shares):
    """Cut shares of the side off: left, top, right, bottom."""
    left, top, right, bottom = (int(share * SIDE) for share in shares)
    return image[top : SIDE - bottom, left : SIDE - right]


def recompressed(image, quality):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_GRAYSCALE)


# Name of the copy: how it was made, and the kind it must be.
COPIES = {
    "half-size": (lambda p: cv2.resize(p, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA), "near"),
    "larger-and-stretched": (lambda p: cv2.resize(p, (500, 420), interpolation=cv2.INTER_CUBIC), "near"),
    "jpeg-of-low-quality": (lambda p: recompressed(p, 20), "near"),
    "darker": (lambda p: cv2.convertScaleAbs(p, alpha=0.5), "near"),
    "brighter-with-less-contrast": (lambda p: cv2.convertScaleAbs(p, alpha=0.6, beta=90), "near"),
    "other-gamma": (lambda p: (255 * (p / 255) ** 0.6).astype(np.uint8), "near"),
    "cropped-by-8-percent-all-round": (lambda p: cropped(p, 0.08, 0.08, 0.08, 0.08), "near"),
    "cropped-unevenly": (lambda p: cropped(p, 0.08, 0.0, 0.05, 0.07), "near"),
    "mirrored": (lambda p: p[:, ::-1], "mirrored"),
    "mirrored-and-recompressed": (lambda p: recompressed(np.ascontiguousarray(p[:, ::-1]), 40), "mirrored"),
}


def prepared_of(images, digests=None, key="some-key"):
    """Prepared images of one class from uint8 arrays; every one has a content of its own by default."""
    size = Preprocessing().size
    images = np.stack([cv2.resize(p, (size, size), interpolation=cv2.INTER_AREA) for p in images])
    names = [f"normal/{i}.png" for i in range(len(images))]
    table = pd.DataFrame({"class_name": "normal", "file": names, "digest": digests or names})
    return PreparedImages(images, table, {}, key)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty textures: ten with one copy each, made as `COPIES` says; one is copied as a file, and to another class."""
    root = tmp_path_factory.mktemp("textures")
    for name in ("normal", "covid"):
        (root / name).mkdir()
    for seed in range(20):
        cv2.imwrite(str(root / "normal" / f"base-{seed:02d}.png"), draw_texture(seed))
    for seed, (name, (make, _)) in enumerate(COPIES.items()):
        cv2.imwrite(str(root / "normal" / f"{name}.png"), make(draw_texture(seed)))
    data = (root / "normal" / "base-10.png").read_bytes()
    for name in ("one", "two"):
        (root / "normal" / f"equal-{name}.png").write_bytes(data)
    cv2.imwrite(str(root / "covid" / "across.jpg"), draw_texture(11))
    return root


@pytest.fixture(scope="module")
def prepared(folder, tmp_path_factory):
    return prepare_images(scan_dataset(folder).table, Preprocessing(), cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def pairs(prepared, tmp_path_factory):
    return find_duplicates(prepared, cache_dir=tmp_path_factory.mktemp("cache"))


def by_name(pairs, table):
    """Pairs as a dict of two names to kind."""
    names = table["file"].map(lambda file: Path(file).stem).to_numpy()
    return {frozenset((names[a], names[b])): kind for a, b, kind in zip(pairs.a, pairs.b, pairs.kind, strict=True)}


# What is found


@pytest.mark.parametrize("copy", COPIES)
def test_a_changed_copy_is_found_and_its_kind_is_right(copy, pairs, prepared):
    base = f"base-{list(COPIES).index(copy):02d}"
    assert by_name(pairs, prepared.table).get(frozenset((base, copy))) == COPIES[copy][1]


def test_a_pair_across_classes_is_found(pairs, prepared):
    assert by_name(pairs, prepared.table)[frozenset(("base-11", "across"))] == "near"


def test_different_images_are_not_joined(pairs, prepared):
    right = {frozenset((f"base-{i:02d}", copy)) for i, copy in enumerate(COPIES)} | {frozenset(("base-11", "across"))}
    found = by_name(pairs[pairs["kind"] != "equal"], prepared.table)
    assert set(found) == right


def test_equal_files_are_chained_in_row_order(pairs, prepared):
    digests = prepared.table["digest"].to_numpy()
    rows = np.flatnonzero(digests == prepared.table.set_index("file").loc["normal/equal-one.png", "digest"])
    equal = pairs[pairs["kind"] == "equal"]
    assert equal[["a", "b"]].to_numpy().tolist() == [list(pair) for pair in zip(rows[:-1], rows[1:], strict=True)]
    assert (equal["score"] == -1).all()


def test_each_pair_is_listed_once_in_order_with_the_points_it_takes(pairs):
    assert (pairs["a"] < pairs["b"]).all()
    assert pairs[["a", "b"]].apply(tuple, axis=1).is_monotonic_increasing
    assert not pairs.duplicated(["a", "b"]).any()
    assert (pairs.loc[pairs["kind"] != "equal", "score"] >= MIN_POINTS).all()


def test_the_same_images_give_the_same_pairs_twice(pairs, prepared, tmp_path):
    pd.testing.assert_frame_equal(find_duplicates(prepared, cache_dir=tmp_path), pairs)


def test_another_order_of_rows_gives_the_same_pairs_of_files(pairs, prepared, tmp_path):
    order = np.random.default_rng(0).permutation(len(prepared.table))
    table = prepared.table.iloc[order].reset_index(drop=True)
    turned = PreparedImages(np.asarray(prepared.images_u8)[order], table, {}, "turned")
    found = find_duplicates(turned, cache_dir=tmp_path)
    near, before = (p[p["kind"] != "equal"] for p in (found, pairs))
    assert by_name(near, table) == by_name(before, prepared.table)


def test_many_equal_files_do_not_hide_a_near_copy(tmp_path):
    one, other = draw_texture(0), cv2.GaussianBlur(draw_texture(0), (0, 0), 1)
    rest = [draw_texture(seed) for seed in range(1, 13)]
    digests = ["one"] * 8 + ["other"] * 8 + [f"rest-{i}" for i in range(12)]
    prepared = prepared_of([one] * 8 + [other] * 8 + rest, digests)
    groups = duplicate_groups(find_duplicates(prepared, cache_dir=tmp_path), 28)
    assert [g.tolist() for g in groups] == [list(range(16))]


def test_matching_points_tell_a_copy_from_a_stranger():
    one, two = draw_texture(0), draw_texture(1)
    assert matching_points(one, cropped(one, 0.05, 0.05, 0.05, 0.05)) >= MIN_POINTS
    assert matching_points(one, two) < MIN_POINTS / 2


def test_a_copy_that_lost_nearly_all_contrast_keeps_its_points():
    image = draw_texture(0)
    assert matching_points(image, cv2.convertScaleAbs(image, alpha=0.06, beta=110)) >= MIN_POINTS


def test_points_in_one_corner_alone_do_not_make_a_duplicate():
    one, two = draw_texture(0), draw_texture(1)
    corner = (slice(0, SIDE // 4), slice(0, SIDE // 4))
    two[corner] = one[corner]
    assert matching_points(one, two) == 0


# What counts as agreeing, on key points that were made for it


def made_points(shared, alone, change=((1, 0), (0, 1)), area=1.0, astray=0):
    """Key points of two images: `shared` that agree under a 2 × 2 `change`, and `alone` more that match nothing.

    The shared ones of the first image fill a rectangle of this `area` with points in its corners. `astray` more look
    alike, but lie elsewhere.
    """
    rng = np.random.default_rng(0)
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
    here = np.concatenate([corners, rng.random((max(0, shared - 4), 2))])[:shared] * np.sqrt(area)
    common, *own = (
        rng.exponential(20, (n, 128)).clip(0, 255).astype(np.uint8) for n in (shared + astray, alone, alone)
    )
    places = [here, here @ np.asarray(change, float).T]
    return tuple(
        (np.concatenate([at, rng.random((astray + alone, 2))]).astype(np.float32), np.concatenate([common, extra]))
        for at, extra in zip(places, own, strict=True)
    )


@pytest.fixture
def agreeing(monkeypatch):
    """A callable(...) as `made_points` that returns how many of these points `matching_points` finds to agree."""

    def count(*arguments, **options):
        points = made_points(*arguments, **options)
        monkeypatch.setattr("cxr_core.splits.duplicates._describe", lambda image: points[image[0, 0]])
        return matching_points(flat(0), flat(1))

    return count


@pytest.mark.parametrize(("shared", "expected"), [(3, 0), (4, 4), (50, 50)])
def test_three_points_always_agree_and_count_nothing(shared, expected, agreeing):
    assert agreeing(shared, alone=60 - shared) == expected


@pytest.mark.parametrize("scale", [2.49, 1 / 2.49])
def test_up_to_two_and_a_half_times_the_size_points_agree(scale, agreeing):
    assert agreeing(50, alone=10, change=np.eye(2) * scale) == 50
    assert agreeing(50, alone=10, change=np.diag([1, scale])) == 50


@pytest.mark.parametrize("scale", [2.51, 1 / 2.51])
def test_beyond_two_and_a_half_times_the_size_along_any_axis_none_agree(scale, agreeing):
    assert agreeing(50, alone=10, change=np.eye(2) * scale) == 0
    assert agreeing(50, alone=10, change=np.diag([1, scale])) == 0


@pytest.mark.parametrize(("area", "expected"), [(0.101, 50), (0.099, 0)])
def test_points_agree_where_they_spread_over_a_tenth_of_the_image(area, expected, agreeing):
    assert agreeing(50, alone=10, area=area) == expected


@pytest.mark.parametrize(("shared", "alone"), [(40, 0), (40, 20), (39, 0), (39, 20)])
def test_40_points_that_agree_make_a_pair_and_39_do_not(shared, alone, tmp_path, monkeypatch):
    points = made_points(shared, alone)
    monkeypatch.setattr("cxr_core.splits.duplicates._describe", lambda image: points[image[0, 0]])
    found = find_duplicates(prepared_of([flat(0), flat(1)]), cache_dir=tmp_path)
    assert found.to_numpy().tolist() == ([[0, 1, "near", 40]] if shared == 40 else [])


def test_points_that_look_alike_but_lie_elsewhere_do_not_count(tmp_path, monkeypatch):
    points = made_points(39, alone=0, astray=20)
    monkeypatch.setattr("cxr_core.splits.duplicates._describe", lambda image: points[image[0, 0]])
    assert matching_points(flat(0), flat(1)) == 39
    assert find_duplicates(prepared_of([flat(0), flat(1)]), cache_dir=tmp_path).empty


# Few or empty images


def flat(value):
    return np.full((SIDE, SIDE), value, np.uint8)


@pytest.mark.parametrize(
    "images",
    [[draw_texture(0)], [flat(9)], [draw_texture(0), draw_texture(1)], [flat(v) for v in range(0, 250, 25)]],
    ids=["one", "one flat", "two", "ten flat"],
)
def test_where_there_is_nothing_to_find_there_are_no_pairs_of_whole_numbers(images, tmp_path):
    prepared = prepared_of(images)
    for _ in ("computed", "cached"):
        found = find_duplicates(prepared, cache_dir=tmp_path)
        assert found.empty
        assert found[["a", "b", "score"]].dtypes.map(str).tolist() == ["int64"] * 3
        assert duplicate_groups(found, len(images)) == []


def test_two_images_that_are_all_there_is_can_be_copies(tmp_path):
    found = find_duplicates(prepared_of([draw_texture(0), recompressed(draw_texture(0), 30)]), cache_dir=tmp_path)
    assert found[["a", "b", "kind"]].to_numpy().tolist() == [[0, 1, "near"]]


def test_copies_with_few_details_are_found_among_flat_images(tmp_path):
    one = flat(90)
    one[80:230, 80:230] = draw_texture(3)[:150, :150]
    images = [flat(20), one, flat(200), recompressed(one, 50)]
    found = find_duplicates(prepared_of(images), cache_dir=tmp_path)
    assert found[["a", "b", "kind"]].to_numpy().tolist() == [[1, 3, "near"]]


# Cache, memory file, progress


def test_the_second_time_no_image_is_looked_at(pairs, prepared, tmp_path):
    find_duplicates(prepared, cache_dir=tmp_path)
    pd.testing.assert_frame_equal(find_duplicates(replace(prepared, images_u8=None), cache_dir=tmp_path), pairs)


def test_only_the_result_stays_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    find_duplicates(prepared_of([draw_texture(0), draw_texture(1)]), cache_dir=tmp_path / "cache")
    assert list((tmp_path / "scratch").iterdir()) == []
    assert [p.suffix for p in tmp_path.rglob("*") if p.is_file()] == [".csv"]


def test_a_search_that_breaks_off_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_duplicates(prepared_of([flat(1), flat(2)]), cache_dir=tmp_path / "cache", progress=interrupt)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_progress_ends_with_all_images(tmp_path):
    seen = []
    images = [draw_texture(0), draw_texture(1), draw_texture(2)]
    find_duplicates(prepared_of(images), cache_dir=tmp_path, progress=lambda *step: seen.append(step))
    assert (3, 3) in seen
    assert all(done <= total for done, total in seen)


# Groups


def as_pairs(*rows):
    return pd.DataFrame(rows, columns=["a", "b", "kind", "score"])


def test_groups_are_what_a_walk_along_the_pairs_reaches():
    rng = np.random.default_rng(0)
    edges = np.unique(np.sort(rng.integers(0, 60, (40, 2)), axis=1), axis=0)
    edges = edges[edges[:, 0] < edges[:, 1]]
    reached = {i: {i} for i in range(60)}
    for a, b in edges:
        whole = reached[a] | reached[b]
        for member in whole:
            reached[member] = whole
    expected = {frozenset(s) for s in reached.values() if len(s) > 1}
    groups = duplicate_groups(pd.DataFrame(edges, columns=["a", "b"]), 60)
    assert {frozenset(g.tolist()) for g in groups} == expected
    assert [g.tolist() for g in groups] == sorted(sorted(s) for s in expected)


def test_a_group_is_described_by_size_classes_equal_content_and_what_takes_part():
    table = pd.DataFrame({"class_name": ["normal", "normal", "covid", "covid", "normal", "normal", "normal"]})
    pairs = as_pairs((0, 1, "equal", -1), (3, 4, "near", 60), (4, 5, "near", 50))
    excluded = np.array([True, False, False, False, False, False, False])
    described = group_table(duplicate_groups(pairs, 7), table, pairs, excluded)
    assert described.to_dict("records") == [
        {"rows": [3, 4, 5], "images": 3, "across_classes": True, "equal": False, "whole": True},
        {"rows": [0, 1], "images": 2, "across_classes": False, "equal": True, "whole": False},
    ]


def test_groups_across_classes_come_first_then_the_largest():
    table = pd.DataFrame({"class_name": ["normal"] * 7 + ["covid"] * 2})
    pairs = as_pairs((0, 1, "near", 60), (2, 3, "near", 60), (3, 4, "near", 60), (6, 7, "near", 60))
    described = group_table(duplicate_groups(pairs, 9), table, pairs, np.zeros(9, bool))
    assert described["rows"].tolist() == [[6, 7], [2, 3, 4], [0, 1]]


def test_without_groups_the_table_has_its_columns_and_no_rows():
    described = group_table([], pd.DataFrame({"class_name": ["normal"]}), as_pairs(), np.zeros(1, bool))
    assert described.empty
    assert list(described) == ["rows", "images", "across_classes", "equal", "whole"]


def members(*rows, index=None):
    columns = ["file", "class_name", "width", "height", "format", "bytes", "digest"]
    return pd.DataFrame(rows, columns=columns, index=index)


SMALL = ("a.png", "normal", 200, 100, "PNG", 900, "a")
WIDE = ("b.png", "normal", 400, 300, "PNG", 500, "b")
HEAVY = ("c.png", "normal", 300, 400, "PNG", 700, "c")


def test_the_best_member_has_most_pixels_then_most_bytes():
    assert best_member(members(SMALL, WIDE, HEAVY)) == 2


def test_between_equals_the_first_name_is_the_best_whatever_the_order():
    one, two = members(WIDE), members(WIDE).assign(file="a.png")
    assert best_member(pd.concat([one, two])) == 1
    assert best_member(pd.concat([two, one])) == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 200, "height": 150}, "50 % of the width"),
        ({"width": 380, "height": 200}, "95 % of the width, cropped or stretched"),
        ({"bytes": 400, "digest": "other"}, "re-saved"),
        ({"file": "x.png"}, "same content"),
        ({"bytes": 400, "digest": "other", "format": "JPEG"}, "saved as JPEG"),
        ({"class_name": "covid", "file": "x.png"}, "other class: COVID-19, same content"),
    ],
    ids=["smaller", "cropped", "again", "equal", "format", "class"],
)
def test_a_copys_difference_is_said_in_words(changes, words):
    row = dict(zip(members(), WIDE, strict=True)) | {"digest": "b"} | changes
    if "width" in changes:
        row["digest"] = "other"
    rows = pd.concat([members(WIDE), pd.DataFrame([row])], ignore_index=True)
    assert differences(rows, as_pairs()) == ["highest resolution", words]


def test_a_mirrored_copy_is_called_so_by_its_position_in_the_table():
    rows = members(WIDE, ("d.png", "normal", 400, 300, "PNG", 400, "d"), index=[17, 41])
    assert differences(rows, as_pairs((17, 41, "mirrored", 90))) == ["highest resolution", "mirrored"]
    assert differences(rows, as_pairs((17, 41, "near", 90))) == ["highest resolution", "re-saved"]


# Real radiographs


def grouped(table, cache):
    """The table of what can be read of it, and for each row the number of its group."""
    prepared = prepare_images(table.reset_index(drop=True), Preprocessing(), cache_dir=cache)
    numbers = np.arange(len(prepared.table))
    for group in duplicate_groups(find_duplicates(prepared, cache_dir=cache), len(numbers)):
        numbers[group] = group[0]
    return prepared.table, numbers


@pytest.fixture(scope="module")
def real_pairs(real_folders, tmp_path_factory):
    """Shared radiographs, one in four where no copies are, in groups."""
    table = scan_dataset(*real_folders).table
    return grouped(table[(table["class_name"] == "covid") | (table.index % 4 == 0)], tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def few_real_pairs(real_folders, tmp_path_factory):
    """One in sixteen of the shared radiographs, in groups."""
    return grouped(scan_dataset(*real_folders).table[::16], tmp_path_factory.mktemp("few"))


@pytest.mark.slow
def test_of_real_images_whose_names_differ_by_further_endings_19_in_20_are_found(real_pairs):
    table, numbers = real_pairs
    rows = {}
    for row, file in enumerate(table["file"]):
        stem = Path(file)
        while stem.suffix.lower() in (".jpg", ".jpeg", ".png", ".jfif"):
            stem = stem.with_suffix("")
        if file.startswith("covid/"):
            rows.setdefault(str(stem), []).append(row)
    named = [pair for same in rows.values() for pair in combinations(same, 2)]
    assert len(named) > 80
    assert np.mean([numbers[a] == numbers[b] for a, b in named]) >= 0.95


@pytest.mark.parametrize("pairs", ["few_real_pairs", pytest.param("real_pairs", marks=pytest.mark.slow)])
def test_of_2000_random_pairs_of_different_patients_at_most_1_in_100_is_joined(pairs, request):
    table, numbers = request.getfixturevalue(pairs)
    patients = table["patient"].fillna(table["file"]).to_numpy()
    drawn = np.random.default_rng(0).integers(0, len(table), (4000, 2))
    strangers = drawn[patients[drawn[:, 0]] != patients[drawn[:, 1]]][:2000]
    assert len(strangers) == 2000
    assert (numbers[strangers[:, 0]] == numbers[strangers[:, 1]]).mean() <= 0.01


def test_a_search_that_refuses_nothing_passes_images_with_hardly_a_point_in_common(tmp_path, monkeypatch):
    monkeypatch.setattr("cxr_core.splits.duplicates.MIN_POINTS", 0)
    images = np.stack([draw_texture(seed) for seed in range(12)])
    images[:4, 40:] = 128
    table = pd.DataFrame({"digest": [str(i) for i in range(12)], "file": [f"n/{i}.png" for i in range(12)]})
    prepared = PreparedImages(images, table.assign(class_name="n", patient=None), {}, "key")
    pairs = find_duplicates(prepared, cache_dir=tmp_path)
    assert (pairs["score"] >= 0).all() and len(pairs) > 12
