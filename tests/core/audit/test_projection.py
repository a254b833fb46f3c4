"""A map that keeps neighbours, for any number of rows."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

from cxr_core.audit.projection import nearest_points, project_embeddings


def clusters(n=90, features=60, seed=0):
    """Three heaps of points, far apart; float16 as features are kept."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    return (rng.normal(0, 8, (3, features))[labels] + rng.normal(0, 1, (n, features))).astype(np.float16), labels


@pytest.fixture(scope="module")
def mapped():
    """The values that were laid out, their rows and their places on the map."""
    values, _ = clusters()
    return values, *project_embeddings(values)


def test_heaps_in_feature_space_are_heaps_on_the_map(mapped):
    _, labels = clusters()
    _, _, xy = mapped
    assert silhouette_score(xy, labels) > 0.7


def test_a_copy_lies_beside_its_original():
    values, _ = clusters()
    values[50] = values[20]
    _, xy = project_embeddings(values)
    nearest = NearestNeighbors(n_neighbors=2).fit(xy).kneighbors(xy[[20]])[1][0]
    assert 50 in nearest


def test_the_same_seed_gives_the_same_map(mapped):
    values, _, xy = mapped
    np.testing.assert_array_equal(project_embeddings(values, seed=0)[1], xy)


def test_all_rows_are_kept_in_order_where_they_are_few(mapped):
    _, rows, xy = mapped
    np.testing.assert_array_equal(rows, np.arange(90))
    assert (xy.shape, xy.dtype) == ((90, 2), np.float32)


def test_more_rows_than_the_limit_are_sampled_by_class():
    values, labels = clusters()
    names = np.where(labels == 0, "normal", "covid")
    rows, xy = project_embeddings(values, class_names=names, limit=30)
    assert (names[rows] == "normal").sum() == 10
    assert len(rows) == len(xy) == 30


def test_without_class_names_any_rows_are_drawn():
    rows, _ = project_embeddings(clusters()[0], limit=30)
    assert len(set(rows.tolist())) == 30


@pytest.mark.parametrize("n", range(12))
def test_any_small_number_of_rows_gives_a_finite_map(n):
    rows, xy = project_embeddings(clusters(n)[0] if n else np.zeros((0, 60), np.float16))
    assert xy.shape == (n, 2)
    assert len(rows) == n
    assert np.isfinite(xy).all()


def test_four_rows_are_laid_out_by_their_principal_components():
    values = clusters(4)[0].astype(np.float32)
    expected = PCA(2).fit_transform(values)
    np.testing.assert_allclose(np.abs(project_embeddings(values)[1]), np.abs(expected), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("n", [2, 4, 40])
def test_rows_that_are_all_equal_lie_in_one_place(n):
    np.testing.assert_array_equal(project_embeddings(np.full((n, 8), 0.3, np.float16))[1], np.zeros((n, 2)))


def test_many_equal_rows_among_others_give_a_finite_map():
    values, _ = clusters(40)
    values[5:] = values[5]
    assert np.isfinite(project_embeddings(values)[1]).all()


@pytest.mark.parametrize("n", [3, 30])
def test_a_single_feature_is_enough(n):
    assert np.isfinite(project_embeddings(np.arange(n, dtype=np.float32)[:, None])[1]).all()


def test_a_saved_map_is_opened_and_not_made_again(tmp_path):
    values, _ = clusters(30)
    first = project_embeddings(values, cache_path=tmp_path / "maps" / "map.npz")
    again = project_embeddings(np.zeros_like(values), cache_path=tmp_path / "maps" / "map.npz")
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_values_are_left_as_they_were(mapped):
    np.testing.assert_array_equal(mapped[0], clusters()[0])


def test_class_names_of_another_length_are_refused():
    with pytest.raises(ValueError, match="3 for 90"):
        project_embeddings(clusters()[0], class_names=["normal"] * 3)


def test_the_nearest_points_begin_with_the_point_itself():
    xy = np.array([[0.0, 0], [3, 4], [1, 0], [0, 0], [9, 9]])
    assert nearest_points(xy, 3, 3).tolist() == [3, 0, 2]
    assert sorted(nearest_points(xy, 0, 99).tolist()) == [0, 1, 2, 3, 4]
