"""Which files show the same radiograph: copied, resized, cropped, mirrored?"""

import tempfile
from collections.abc import Sequence
from itertools import chain, combinations
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, vstack
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from threadpoolctl import threadpool_limits
from usearch.index import BatchMatches, Index

from cxr_core.classes import class_label
from cxr_core.config import CACHE_DIR
from cxr_core.data.prepared_images import PreparedImages, read_images
from cxr_core.splits.connected_components import chain_equal, component_numbers
from cxr_core.system.arrays import BoolArray, FloatArray, IntArray, UInt8Array
from cxr_core.system.disk_cache import is_cached, new_entry
from cxr_core.system.progress import Progress, ShareWork, in_threads
from cxr_core.system.text import percent, table_csv
from cxr_core.system.visit_folders import visit_cache

# Chosen by `python -m benchmarks.duplicates`; see `find_duplicates`.
MIN_POINTS = 40
MIN_SPREAD = 0.1

_SIDE = 112
# Two images that are laid over each other are seen more closely.
_FINE_SIDE = 160
_KEYPOINTS = 192
# Low enough for that many in nearly every image, be it flat: what a copy loses in contrast then costs it no point.
_CONTRAST = 0.005
_DESCRIPTOR_BYTES = 128
_RATIO = 0.8
_TOLERANCE = 0.013
_MAX_SCALE = 2.5
_WORDS = 256
_DIMENSIONS = 64
_NEIGHBOURS = 5
_TINY = 16
_MIN_MIRRORED = 0.9
_FIT_IMAGES = 1_000
_CHUNK = 512
_IMAGES = 64
# Part of a cached result's name: a change of the method makes every result a new one.
_VERSION = "4"

# Places float32 (K, 2) in [0, 1], and descriptors uint8 (K, 128).
KeyPoints = tuple[FloatArray, UInt8Array]
# Two rows, and "near" or "mirrored"; scored, "equal" too, with the number of key points that agree.
Candidate = tuple[int, int, str]
ScoredPair = tuple[int, int, str, int]


def find_duplicates(
    prepared: PreparedImages,
    *,
    cache_dir: str | Path = CACHE_DIR,
    progress: Progress | None = None,
    share: ShareWork = in_threads,
) -> pd.DataFrame:
    """Find pairs of images that show the same radiograph.

    Equal files are known by their content. The others are described by SIFT key points; images
    whose key points are of the same kinds are candidates (five nearest neighbours among bags of
    visual words), and a candidate counts where at least `MIN_POINTS` key points of one image lie
    on those of the other under one affine change, spread over at least `MIN_SPREAD` of the image.
    Healthy chests look alike as a whole, but not point by point. Mirrored copies are looked for
    among images that are alike in 16 × 16 when one of them is mirrored.

    The neighbours come from an approximate graph, so the cost grows like N log N, not N².

    Args:
        prepared: N images.
        cache_dir: the result is kept there by content; that of a visit's images in its folder.
        progress: runs twice, over images and over pairs.
        share: who looks for key points, in 64 images at a time; the rest is done here.

    Returns:
        DataFrame of `a` and `b` (int, row positions, a < b), `kind` ("equal", "near" or
        "mirrored") and `score` (int, key points that agree; -1 for equal files), sorted.
        Equal files are chained, not listed in all combinations.

    Source:
        Lowe 2004, doi:10.1023/B:VISI.0000029664.99615.94 (SIFT, the ratio test); Arandjelović &
        Zisserman 2012, doi:10.1109/CVPR.2012.6248018 (its Hellinger form); Sivic & Zisserman 2003,
        doi:10.1109/ICCV.2003.1238663 (visual words); Malkov & Yashunin 2016, arXiv:1603.09320 (graph).
    """
    folder = Path(visit_cache(prepared.table.get("path", ())) or cache_dir)
    path = folder / "duplicates" / f"{prepared.key}-{_VERSION}.csv"
    if not is_cached(path):
        pairs = _near_pairs(prepared, progress, share)
        with new_entry(path) as temporary:
            temporary.write_text(table_csv(pairs), encoding="utf-8", newline="")
    pairs = _as_pairs(pd.concat([_equal_pairs(prepared.table["digest"]), pd.read_csv(path)], ignore_index=True))
    return pairs.sort_values(["a", "b"], kind="stable", ignore_index=True)


def duplicate_groups(pairs: pd.DataFrame, n: int) -> list[IntArray]:
    """Join pairs into groups.

    Args:
        pairs: DataFrame with `a` and `b`, row positions.
        n: number of rows.

    Returns:
        The sorted row positions of each group of two or more, by their first row.
    """
    numbers = component_numbers(pairs[["a", "b"]].to_numpy(), n)
    order = np.argsort(numbers, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    return sorted((g for g in groups if len(g) > 1), key=lambda g: g[0])


def group_table(
    groups: Sequence[IntArray], table: pd.DataFrame, pairs: pd.DataFrame, excluded: BoolArray
) -> pd.DataFrame:
    """Describe groups of duplicates, those across classes first, then by size.

    Args:
        groups: row positions per group, as `duplicate_groups` gives them.
        table: DataFrame with `class_name`.
        pairs: DataFrame with `a` and `kind`.
        excluded: bool (N,), True for rows that are excluded.

    Returns:
        DataFrame of `rows` (list of int), `images`, `across_classes`, `equal` (holds
        identical files) and `whole` (more than one image takes part).
    """
    classes = table["class_name"].to_numpy()
    equal = set(pairs.loc[pairs["kind"] == "equal", "a"])
    described = [
        (g.tolist(), len(g), len(set(classes[g])) > 1, bool(equal & set(g.tolist())), int((~excluded[g]).sum()) > 1)
        for g in groups
    ]
    frame = pd.DataFrame(described, columns=["rows", "images", "across_classes", "equal", "whole"])
    kinds = {"images": int, "across_classes": bool, "equal": bool, "whole": bool}
    return frame.astype(kinds).sort_values(["across_classes", "images"], ascending=False, kind="stable")


def best_member(rows: pd.DataFrame) -> int:
    """Return the position, within some table rows, of the image to keep: most pixels, then most bytes.

    Args:
        rows: DataFrame with `width`, `height` (pixels), `bytes` and `file`.
    """
    return min(
        range(len(rows)),
        key=lambda i: (-rows["width"].iloc[i] * rows["height"].iloc[i], -rows["bytes"].iloc[i], rows["file"].iloc[i]),
    )


def spare_members(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a group of duplicates without its best one.

    Args:
        rows: DataFrame as for `best_member`.
    """
    return rows.drop(index=rows.index[best_member(rows)])


def differences(rows: pd.DataFrame, pairs: pd.DataFrame) -> list[str]:
    """Say in words how each image of a group differs from its best one.

    Args:
        rows: DataFrame of the group with `class_name`, `width`, `height`, `format`, `bytes`,
            `digest` and `file`; its index are row positions.
        pairs: DataFrame of `a`, `b` and `kind`.

    Returns:
        One text per row; the best one's is "highest resolution".
    """
    best = rows.iloc[best_member(rows)]
    mirrored = {frozenset(pair) for pair in pairs.loc[pairs["kind"] == "mirrored", ["a", "b"]].to_numpy().tolist()}
    texts = []
    for position, row in rows.iterrows():
        if position == best.name:
            texts.append("highest resolution")
            continue
        scale = row["width"] / best["width"]
        shape = scale * best["height"] / row["height"]
        facts = (
            (row["class_name"] != best["class_name"], f"other class: {class_label(row['class_name'])}"),
            (row["digest"] == best["digest"], "same content"),
            (abs(scale - 1) > 0.005, f"{percent(scale, 0)} of the width"),
            (abs(shape - 1) > 0.02, "cropped or stretched"),
            (frozenset((position, best.name)) in mirrored, "mirrored"),
            (row["format"] != best["format"], f"saved as {row['format']}"),
        )
        texts.append(", ".join(text for holds, text in facts if holds) or "re-saved")
    return texts


def matching_points(image_u8: UInt8Array, other_u8: UInt8Array) -> int:
    """Count the key points of two images that agree under one affine change.

    Args:
        image_u8: uint8 (H, W), of any size.
        other_u8: uint8 (H, W), of any other.

    Returns:
        0 where they spread over less than `MIN_SPREAD` of the first image.
    """
    return _agreeing(_describe(image_u8), _describe(other_u8), at_least=0)


def copy_change(
    image_u8: UInt8Array, other_u8: UInt8Array, *, at_least: int = MIN_POINTS
) -> tuple[FloatArray, bool] | None:
    """Find the affine change that leads from an image to a copy of it.

    Args:
        image_u8: uint8 (H, W), of any size.
        other_u8: uint8 (H, W), of any other.
        at_least: how many key points must agree.

    Returns:
        float64 (2, 3), from places (x, y) of the first image to those of the second, both in [0, 1], and whether the
        second must be mirrored left to right before; None where they are no copies of each other.
    """
    points, others = _describe(image_u8, _FINE_SIDE), _describe(other_u8, _FINE_SIDE)
    for there, is_mirrored in ((others, False), (_mirror(*others, _FINE_SIDE), True)):
        found = _common_change(points, there, at_least)
        if found is not None and len(found[1]) >= at_least:
            return found[0], is_mirrored
    return None


def _equal_pairs(digests: pd.Series) -> pd.DataFrame:
    chained = chain_equal(pd.factorize(digests.to_numpy())[0])
    return _as_pairs([(a, b, "equal", -1) for a, b in chained.tolist()])


def _as_pairs(rows: pd.DataFrame | Sequence[ScoredPair]) -> pd.DataFrame:
    pairs = pd.DataFrame(rows, columns=["a", "b", "kind", "score"])
    return pairs.astype({"a": int, "b": int, "kind": object, "score": int})


def _near_pairs(prepared: PreparedImages, progress: Progress | None, share: ShareWork) -> pd.DataFrame:
    # One image per content: many equal files would be each other's neighbours, and hide a near copy.
    rows = np.flatnonzero(~prepared.table["digest"].duplicated())
    # The matrices of one pair are so small that threads inside a product only wait for each other.
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        points = _PointFile(Path(folder, "points"), prepared.images_u8, rows, share, progress)
        candidates: list[Candidate] = [(a, b, "near") for a, b in _alike_pairs(points).tolist()]
        candidates += [(a, b, "mirrored") for a, b in _mirrored_pairs(points).tolist()]
        found: list[ScoredPair] = []
        # By chunks: a waiting task costs more memory than the pair that it is about.
        chunks = [candidates[start : start + _CHUNK] for start in range(0, len(candidates), _CHUNK)]
        for done, near in enumerate(in_threads(points.compare, chunks), start=1):
            found += near
            if progress:
                progress(min(done * _CHUNK, len(candidates)), len(candidates))
    scored = [(int(rows[a]), int(rows[b]), kind, agreeing) for a, b, kind, agreeing in found]
    pairs = _as_pairs(scored).sort_values("score", ascending=False, kind="stable")
    return pairs.drop_duplicates(["a", "b"]).sort_values(["a", "b"])


def _alike_pairs(points: "_PointFile") -> IntArray:
    """Return int (M, 2), pairs of images whose key points are of the same kinds."""
    n = len(points)
    fitted = np.sort(np.random.default_rng(0).permutation(n)[:_FIT_IMAGES])
    sample = _hellinger(np.concatenate([points.descriptors(row) for row in fitted]))
    if len(sample) < _WORDS:
        # Too few for words; then no more than a handful of images have enough points to match at all.
        rich = [row for row in fitted if len(points.descriptors(row)) >= MIN_POINTS]
        return np.array(list(combinations(rich, 2)), np.int64).reshape(-1, 2)
    words = MiniBatchKMeans(_WORDS, random_state=0, batch_size=4096, n_init=1, max_iter=10).fit(sample)
    counts = vstack([_count_words(points, words, range(i, min(i + _CHUNK, n))) for i in range(0, n, _CHUNK)])
    bags = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    return _nearest_pairs(TruncatedSVD(min(_DIMENSIONS, n), random_state=0).fit_transform(bags), _NEIGHBOURS)


def _count_words(points: "_PointFile", words: MiniBatchKMeans, rows: range) -> csr_matrix:
    descriptors = [points.descriptors(row) for row in rows]
    owners = np.repeat(np.arange(len(rows)), [len(d) for d in descriptors])
    found = words.predict(_hellinger(np.concatenate(descriptors)))
    return csr_matrix((np.ones(len(found), np.float32), (owners, found)), shape=(len(rows), _WORDS))


def _mirrored_pairs(points: "_PointFile") -> IntArray:
    """Return int (M, 2), pairs of images that are alike when the second is mirrored."""
    tiny = points.tiny.astype(np.float32)
    pairs = _nearest_pairs(tiny.reshape(len(tiny), -1), 1, tiny[:, :, ::-1].reshape(len(tiny), -1))
    alike = np.einsum("nij,nij->n", tiny[pairs[:, 0]], tiny[pairs[:, 1]][:, :, ::-1])
    return pairs[alike >= _MIN_MIRRORED]


def _nearest_pairs(vectors: FloatArray, neighbours: int, questions: FloatArray | None = None) -> IntArray:
    """Return int (M, 2), a < b and each once: every row, or question, with its nearest other rows."""
    n = len(vectors)
    if n < 2:
        return np.zeros((0, 2), np.int64)
    graph = Index(ndim=vectors.shape[1], metric="cos", dtype="f32")
    # On one thread the graph, and with it the result, is the same every time.
    graph.add(np.arange(n), vectors.astype(np.float32), threads=1)
    questions = vectors if questions is None else questions
    answers = graph.search(questions.astype(np.float32), min(neighbours + 1, n), threads=1)
    assert isinstance(answers, BatchMatches)
    keys = answers.keys.astype(np.int64).reshape(n, -1)
    pairs = np.column_stack([np.repeat(np.arange(n), keys.shape[1]), keys.ravel()])
    # A graph may find fewer than asked for; what then fills the rest is no key.
    pairs = pairs[(np.arange(keys.shape[1]) < answers.counts.reshape(n, 1)).ravel()]
    return np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)


def _describe(image_u8: UInt8Array, side: int = _SIDE) -> KeyPoints:
    """Return an image's key points: places float32 (K, 2) in [0, 1] and descriptors uint8 (K, 128)."""
    small = cv2.resize(image_u8, (side, side), interpolation=cv2.INTER_AREA)
    # A detector holds state: one per call, so that threads do not share it.
    sift = cv2.SIFT.create(nfeatures=_KEYPOINTS, contrastThreshold=_CONTRAST)
    found, descriptors = sift.detectAndCompute(small, None)
    if descriptors is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, _DESCRIPTOR_BYTES), np.uint8)
    places = np.array([point.pt for point in found[:_KEYPOINTS]], np.float32) / side
    return places, descriptors[:_KEYPOINTS].astype(np.uint8)


def _mirror(places: FloatArray, descriptors: UInt8Array, side: int = _SIDE) -> KeyPoints:
    """Return the key points as `_describe` would find them in the mirrored image, without looking for them again.

    A descriptor is 4 × 4 places of 8 directions, seen along the key point's own direction: in a mirror
    the places across it change sides, and the directions turn the other way.
    """
    width = (side - 1) / side
    parts = descriptors.reshape(-1, 4, 4, 8)[:, ::-1][..., -np.arange(8) % 8]
    return np.column_stack([width - places[:, 0], places[:, 1]]), parts.reshape(-1, _DESCRIPTOR_BYTES)


def _agreeing(points: KeyPoints, others: KeyPoints, at_least: int) -> int:
    """Count the points that agree under one affine change; 0 for fewer than `at_least`, or too close together."""
    found = _common_change(points, others, at_least)
    if found is None:
        return 0
    width, height = found[1].max(axis=0) - found[1].min(axis=0)
    return len(found[1]) if width * height >= MIN_SPREAD else 0


def _common_change(points: KeyPoints, others: KeyPoints, at_least: int) -> tuple[FloatArray, FloatArray] | None:
    """Return the affine change (2, 3) from points to others, and the places (K, 2) that it holds for; None for few."""
    (places, descriptors), (other_places, other_descriptors) = points, others
    # Three points give an affine change, and any three agree.
    at_least = max(4, at_least)
    if min(len(places), len(other_places)) < at_least:
        return None
    alike = _hellinger(descriptors) @ _hellinger(other_descriptors).T
    # Squared distances are 2 - 2 x alike; the nearest must be clearly nearer than the second.
    second, first = np.partition(alike, -2, axis=1)[:, -2:].T
    clear = np.flatnonzero(1 - first < _RATIO**2 * (1 - second))
    # Most candidates end here: finding the change costs more than all the rest.
    if len(clear) < at_least:
        return None
    here, there = places[clear], other_places[alike[clear].argmax(axis=1)]
    change, inside = cv2.estimateAffine2D(here, there, ransacReprojThreshold=_TOLERANCE, maxIters=500)
    if change is None:
        return None
    scales = np.linalg.svd(change[:, :2], compute_uv=False)
    if scales[1] < _MAX_SCALE**-1 or scales[0] > _MAX_SCALE:
        return None
    return change, here[inside.ravel() > 0]


def _hellinger(descriptors_u8: UInt8Array) -> FloatArray:
    values = descriptors_u8.astype(np.float32)
    rooted: FloatArray = np.sqrt(values / np.maximum(values.sum(axis=1, keepdims=True), 1))
    return rooted


def _measure_images(images_u8: UInt8Array) -> list[tuple[KeyPoints, FloatArray]]:
    """Return the key points of images, uint8 (N, H, W), and each at 16 × 16 pixels with mean 0 and length 1."""
    measured = []
    for image in images_u8:
        tiny = cv2.resize(image, (_TINY, _TINY), interpolation=cv2.INTER_AREA).astype(np.float32)
        tiny -= tiny.mean()
        measured.append((_describe(image), tiny / max(float(np.linalg.norm(tiny)), 1e-6)))
    return measured


class _PointFile:
    """The key points of some rows' images, in a file so that memory does not grow with the data set."""

    def __init__(
        self, path: Path, images: UInt8Array, rows: IntArray, share: ShareWork, progress: Progress | None
    ) -> None:
        self._path = path
        n = len(rows)
        self._counts = np.zeros(n, np.int16)
        self._places = np.zeros((n, _KEYPOINTS, 2), np.float16)
        self.tiny = np.zeros((n, _TINY, _TINY), np.float16)
        chunks = (read_images(images, rows[start : start + _IMAGES]) for start in range(0, n, _IMAGES))
        with open(path, "wb") as file:
            for row, ((places, descriptors), tiny) in enumerate(chain.from_iterable(share(_measure_images, chunks))):
                self._counts[row], self.tiny[row] = len(places), tiny
                self._places[row, : len(places)] = places
                file.write(descriptors.tobytes().ljust(_KEYPOINTS * _DESCRIPTOR_BYTES, b"\0"))
                if progress and ((row + 1) % 50 == 0 or row + 1 == n):
                    progress(row + 1, n)

    def __len__(self) -> int:
        return len(self._counts)

    def descriptors(self, row: int) -> UInt8Array:
        """Return uint8 (K, 128)."""
        count, start = int(self._counts[row]), int(row) * _KEYPOINTS * _DESCRIPTOR_BYTES
        values = np.fromfile(self._path, np.uint8, count * _DESCRIPTOR_BYTES, offset=start)
        return values.reshape(-1, _DESCRIPTOR_BYTES)

    def compare(self, candidates: Sequence[Candidate]) -> list[ScoredPair]:
        """Return those of (a, b, "near" or "mirrored") that show one radiograph, each with its score."""
        found = []
        for a, b, kind in candidates:
            others = self._points(b) if kind == "near" else _mirror(*self._points(b))
            agreeing = _agreeing(self._points(a), others, MIN_POINTS)
            if agreeing >= MIN_POINTS:
                found.append((a, b, kind, agreeing))
        return found

    def _points(self, row: int) -> KeyPoints:
        return self._places[row, : self._counts[row]].astype(np.float32), self.descriptors(row)
