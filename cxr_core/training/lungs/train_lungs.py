"""How is the lung network trained, measured and written with its card?"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cxr_core.data.layouts.found_image import Problem
from cxr_core.imaging.lung_segmentation import (
    CONVENTIONS,
    MASK_SIDE,
    NETWORK_SIDE,
    VIEWS,
    ChestView,
    network_input,
    squared,
    whole_log_odds,
)
from cxr_core.runs.training_images import are_seen, seen_digests
from cxr_core.system.arrays import BoolArray, FloatArray, IntArray
from cxr_core.system.files import folder_names, write_json, write_text
from cxr_core.system.onnx_session import open_session, run_scaled
from cxr_core.system.progress import Phase, Progress
from cxr_core.training.lungs.chest_alterations import alter
from cxr_core.training.lungs.chest_images import ChestImages, read_chest_images
from cxr_core.training.lungs.lung_card import LungScores, card_figures
from cxr_core.training.lungs.lung_network import build_lung_network, mask_loss
from cxr_core.training.onnx_export import convert_to_onnx

BATCH_SIZE = 32
LEARNING_RATE = 1e-3
# In each batch: images with masks of either convention; the others are drawn from all sources.
_PER_CONVENTION = (9, 8)
# How often each of VIEWS is drawn, for images with a mask and for others: a mask means little in "several".
_WITH_MASK, _WITHOUT = (0.62, 0.2, 0.14, 0.04, 0.0), (0.45, 0.22, 0.17, 0.05, 0.11)
_VIEWS_WEIGHT = 0.5
# Proportion of whole images of the held-out side that each limit refuses.
_REFUSED_SHARE = 0.005
# How far beyond the held-out images' own aspects an image still counts as not stretched.
_ASPECT_MARGIN = 1.15


class _Batches(keras.utils.PyDataset):
    """Altered images, masks and views; which ones depends on seed, epoch and number of the batch alone."""

    def __init__(self, images: ChestImages, steps: int, seed: int) -> None:
        super().__init__(workers=2, use_multiprocessing=False, max_queue_size=4)
        self.images, self.steps, self.seed, self.epoch = images, steps, seed, 0
        self.masked = [np.flatnonzero(images.convention == number) for number in range(len(CONVENTIONS))]
        by_source = images.table.groupby("source").indices
        self.sources = [np.asarray(rows) for rows in by_source.values()]
        # Like the root of their number, so that the largest collection does not speak for all.
        roots = np.array([len(rows) ** 0.5 for rows in self.sources])
        self.chances = roots / roots.sum()

    def __len__(self) -> int:
        return self.steps

    def on_epoch_end(self) -> None:
        self.epoch += 1

    def __getitem__(self, number: int) -> tuple[FloatArray, dict[str, np.ndarray]]:
        rng = np.random.default_rng((self.seed, self.epoch, number))
        inputs, masks, views = zip(*(self._one(row, rng) for row in self._rows(rng)), strict=True)
        return np.stack(inputs), {"lungs": np.stack(masks), "views": np.array(views)}

    def _rows(self, rng: np.random.Generator) -> list[int]:
        rows = [
            int(rng.choice(some)) for some, n in zip(self.masked, _PER_CONVENTION, strict=True) if len(some)
            for _ in range(n)
        ]  # fmt: skip
        while len(rows) < BATCH_SIZE:
            rows.append(int(rng.choice(self.sources[rng.choice(len(self.sources), p=self.chances)])))
        return rows

    def _one(self, row: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, int]:
        image, mask = self.images.pair(row)
        view = int(rng.choice(len(VIEWS), p=_WITHOUT if mask is None else _WITH_MASK))
        others = self.images.images_u8[rng.integers(0, len(self.images), 3)]
        altered, mask = alter(VIEWS[view], [image, *others], mask, rng)
        target = np.zeros((MASK_SIDE, MASK_SIDE, 2 * len(CONVENTIONS)), np.float32)
        if mask is not None:
            convention = int(self.images.convention[row])
            target[..., convention] = squared(mask, MASK_SIDE) / np.float32(255)
            target[..., len(CONVENTIONS) + convention] = 1
        return network_input(squared(altered, NETWORK_SIDE)), target, view


class _Report(keras.callbacks.Callback):
    """Tells how many epochs are done."""

    def __init__(self, progress: Progress, epochs: int) -> None:
        super().__init__()
        self.progress, self.epochs = progress, epochs
        self.losses: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.losses.append({name: round(float(value), 4) for name, value in (logs or {}).items()})
        self.progress(epoch + 1, self.epochs)


def train_lungs(
    roots: Sequence[str | Path],
    folder: str | Path,
    *,
    mask_folders: Sequence[str | Path] = (),
    behind_heart: Collection[str] = (),
    like: str | Path | None = None,
    external: Sequence[str | Path] = (),
    epochs: int = 40,
    steps: int = 60,
    seed: int = 0,
    left_out: list[Problem] | None = None,
    phase: Phase | None = None,
) -> dict[str, Any]:
    """Train the lung network and write `model.onnx`, `card.json` and `CARD.md`.

    Args:
        roots: data sets with at least some lung masks.
        folder: written to; its ABOUT.md, written by hand, becomes the beginning of its CARD.md.
        mask_folders: as for `read_chest_images`.
        behind_heart: as for `read_chest_images`.
        like: folder of a classifier; images that it was not trained on are held out here, too. The limits of the view
            are set on them, so that the classifier's validation and test images stay unseen by the gate as a whole.
        external: data sets with masks that nothing is learned from.
        epochs: of `steps` batches each; the learning rate falls along a cosine.
        steps: batches per epoch.
        seed: of all that is random.
        left_out: takes each image and each mask that nothing can be learned from, with the reason.
        phase: reports on each step.

    Returns:
        The card.

    Raises:
        network.MissingWeights: no ImageNet weights.
        ValueError: no masks, or nothing held out to set the limits on.
    """
    phase, folder = phase or (lambda _: None), Path(folder)
    images = read_chest_images(roots, mask_folders=mask_folders, behind_heart=behind_heart, phase=phase)
    if left_out is not None:
        left_out += images.left_out
    trained = _training_side(images, like, seed)
    keras.utils.set_random_seed(seed)
    model = build_lung_network()
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, epochs * steps, alpha=0.01)
    model.compile(
        keras.optimizers.Adam(schedule),
        {"lungs": mask_loss, "views": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        loss_weights={"lungs": 1.0, "views": _VIEWS_WEIGHT},
    )
    report = _Report(phase("Training") or (lambda *_: None), epochs)
    model.fit(_Batches(images.rows(trained), steps, seed), epochs=epochs, callbacks=[report], verbose=0)
    folder.mkdir(parents=True, exist_ok=True)
    _export(model, folder / "model.onnx")
    held_out = images.rows(~trained)
    card: dict[str, Any] = {
        "name": "cxr-lungs",
        "training": {
            "images": int(trained.sum()),
            "masks": {name: int((images.convention[trained] == i).sum()) for i, name in enumerate(CONVENTIONS)},
            "sources": images.table["source"][trained].value_counts().to_dict(),
            "epochs": epochs,
            "steps": steps,
            "batch_size": BATCH_SIZE,
            "learning_rate": LEARNING_RATE,
            "seed": seed,
            "last_losses": report.losses[-1],
        },
        "limits": _limits(folder / "model.onnx", held_out),
    }
    # Before the masks are measured: what finds lungs reads the limits, too.
    write_json(folder / "card.json", card)
    card["held_out"] = _scores(folder / "model.onnx", held_out)
    card["external"] = {}
    for name, root in zip(folder_names(external), external, strict=True):
        others = read_chest_images([root], behind_heart=behind_heart, phase=phase)
        card["external"][name] = _scores(folder / "model.onnx", others)
    write_json(folder / "card.json", card)
    about = folder / "ABOUT.md"
    write_text(folder / "CARD.md", (about.read_text(encoding="utf-8") if about.exists() else "") + card_figures(card))
    return card


def _training_side(images: ChestImages, like: str | Path | None, seed: int) -> BoolArray:
    """Return which images are trained on: those that another classifier was trained on, or seven in eight."""
    if like is None:
        side = np.random.default_rng(seed).random(len(images)) < 7 / 8
    else:
        digests = seen_digests(like)
        if digests is None:
            raise ValueError(f"{Path(like).name} does not tell which images it was trained on.")
        side = are_seen(images.table, digests).to_numpy()
    if not side.any() or side.all():
        raise ValueError("There must be images to train on, and others to set the limits on.")
    return side


def _export(model: keras.Model, path: Path) -> None:
    def forward(image: tf.Tensor) -> dict[str, tf.Tensor]:
        values = model(image, training=False)
        return {"lungs": tf.sigmoid(values["lungs"]), "views": values["views"]}

    convert_to_onnx(forward, model.input.shape, path)


def _answers(path: Path, images: ChestImages) -> tuple[FloatArray, FloatArray]:
    """Return what the exported network gives for unaltered images: (lungs, views)."""
    session = open_session(path)
    parts = []
    for start in range(0, len(images), BATCH_SIZE):
        part = images.images_u8[start : start + BATCH_SIZE]
        inputs = np.stack([network_input(squared(image, NETWORK_SIDE)) for image in part])
        parts.append(run_scaled(session, ["lungs", "views"], inputs, give_back=True))
    lungs, views = (np.concatenate(values) for values in zip(*parts, strict=True))
    return lungs, views


def _limits(path: Path, held_out: ChestImages) -> dict[str, Any]:
    """Set what counts as a whole chest on images that were not trained on."""
    lungs, views = _answers(path, held_out)
    whole = whole_log_odds(views)
    seen = []
    for cells, aspect in zip(lungs, held_out.aspects, strict=True):
        shape = (1_000, round(1_000 * aspect))
        found = ChestView(shape, cells, "whole", 0.0).aspect
        if found is not None:
            seen.append(found)
    if not seen:
        raise ValueError("The network finds lungs in none of the images that were held out; train it for more epochs.")
    low, high = np.quantile(seen, (_REFUSED_SHARE / 2, 1 - _REFUSED_SHARE / 2))
    return {
        "whole": float(np.quantile(whole, _REFUSED_SHARE)),
        "aspect": [float(low / _ASPECT_MARGIN), float(high * _ASPECT_MARGIN)],
        "set_on": len(held_out),
    }


def _scores(path: Path, images: ChestImages) -> dict[str, LungScores]:
    """Return {convention: Dice of the masks of unaltered images}, at the masks' own cells."""
    lungs, _ = _answers(path, images)
    scores: dict[str, LungScores] = {}
    for number, name in enumerate(CONVENTIONS):
        rows: IntArray = np.flatnonzero(images.convention == number)
        if not len(rows):
            continue
        dice = []
        found = []
        for row in rows:
            mask = images.pair(int(row))[1]
            assert mask is not None
            region = ChestView(mask.shape, lungs[row], "whole", 0.0).lungs
            ours = region.whole if number else region.mask
            truth = mask > 127
            found.append(region.found)
            dice.append(2 * float((ours & truth).sum()) / float(ours.sum() + truth.sum()))
        scores[name] = {
            "images": len(rows),
            "dice": round(float(np.mean(dice)), 4),
            "worst": round(float(np.quantile(dice, 0.05)), 4),
            "found": round(float(np.mean(found)), 4),
        }
    return scores
