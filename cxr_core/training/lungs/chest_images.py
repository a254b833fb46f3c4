"""Which radiographs, and which lung masks, does the lung network learn from?"""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from cxr_core.data.dataset import scan_dataset
from cxr_core.data.layouts.found_image import Problem
from cxr_core.data.sources import image_sources
from cxr_core.imaging.lung_segmentation import squared
from cxr_core.imaging.reader import UnreadableImage, decode_image
from cxr_core.system.arrays import BoolArray, FloatArray, IntArray, UInt8Array
from cxr_core.system.progress import Phase, Progress

# Twice the cells of a mask that the network gives, and room for parts of an image.
SIDE = 256
# Masks of another number of pixels than their image are usual; those of another aspect are of another image.
_ASPECT_TOLERANCE = 0.02


class _Read(NamedTuple):
    """An image, its mask and its aspect; None for what cannot be read or is not there, and a sentence why."""

    image: UInt8Array | None
    mask: UInt8Array | None
    aspect: float
    problem: str | None = None


@dataclass(frozen=True)
class ChestImages:
    """Radiographs and the lung masks of some of them.

    Attributes:
        images_u8: uint8 (N, SIDE, SIDE), grey, whatever aspect they had.
        masks_u8: uint8 (M, SIDE, SIDE), 0 to 255.
        mask_of: int (N,), the position of each image's mask in `masks_u8`; -1 where it has none.
        convention: int (N,), which of `lung_segmentation.CONVENTIONS` its mask follows; -1 where it has none.
        aspects: float (N,), width / height of each image as it was.
        table: N rows of the data set table, with `source`.
        left_out: (file, sentence) of each image and each mask that nothing can be learned from.
    """

    images_u8: UInt8Array
    masks_u8: UInt8Array
    mask_of: IntArray
    convention: IntArray
    aspects: FloatArray
    table: pd.DataFrame
    left_out: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.images_u8)

    def rows(self, chosen: BoolArray) -> "ChestImages":
        """Return some of the images; the masks stay together."""
        return ChestImages(
            self.images_u8[chosen],
            self.masks_u8,
            self.mask_of[chosen],
            self.convention[chosen],
            self.aspects[chosen],
            self.table[chosen].reset_index(drop=True),
            self.left_out,
        )

    def pair(self, row: int) -> tuple[UInt8Array, UInt8Array | None]:
        """Return an image and its mask, None where it has none."""
        return self.images_u8[row], None if self.mask_of[row] < 0 else self.masks_u8[self.mask_of[row]]


def read_chest_images(
    roots: Sequence[str | Path],
    *,
    mask_folders: Sequence[str | Path] = (),
    behind_heart: Collection[str] = (),
    phase: Phase | None = None,
) -> ChestImages:
    """Read radiographs and masks.

    Args:
        roots: data sets; a table's column `mask`, or a folder of masks beside the images, tells their masks.
        mask_folders: folders of further masks, each named like its image with `.png` after it.
        behind_heart: sources and names of mask folders whose masks hold the parts of the lungs behind the heart.
        phase: reports on each step.

    Raises:
        ValueError: no image has a mask that can be used, or a mask folder belongs to no image.
        OSError: a file went away.
    """
    phase = phase or (lambda _: None)
    table = scan_dataset(*roots, progress=phase("Listing the images")).table
    table = table.assign(source=image_sources(table))
    if "mask" not in table:
        table["mask"] = None
    given = table["mask"].notna()
    origin = table["source"].where(given)
    for folder in map(Path, mask_folders):
        named = table["path"].map(lambda path, folder=folder: folder / f"{Path(path).name}.png")
        there = named.map(Path.exists) & ~given
        if not there.any():
            raise ValueError(f"No mask in {folder.name} is named like an image of these data sets.")
        table.loc[there, "mask"] = named[there].map(str)
        origin[there] = folder.name
    wide = origin.isin(list(behind_heart)).to_numpy(int)
    has_mask = table["mask"].notna().to_numpy()
    if not has_mask.any():
        raise ValueError("None of these images has a lung mask: name folders of masks, or a table's column `mask`.")
    read = list(_read(table, phase("Reading images and masks")))
    left_out = tuple((file, r.problem) for file, r in zip(table["file"], read, strict=True) if r.problem)
    readable = np.array([r.image is not None for r in read])
    masks = [r.mask for r in read if r.mask is not None]
    if not masks:
        raise ValueError(f"No lung mask can be used. The first, of {left_out[0][0]}: {left_out[0][1]}")
    with_mask = np.array([r.mask is not None for r in read])[readable]
    return ChestImages(
        np.stack([r.image for r in read if r.image is not None]),
        np.stack(masks),
        np.where(with_mask, with_mask.cumsum() - 1, -1),
        np.where(with_mask, wide[readable], -1),
        np.array([r.aspect for r in read if r.image is not None]),
        table[readable].reset_index(drop=True),
        left_out,
    )


def _read(table: pd.DataFrame, progress: Progress | None) -> Iterator[_Read]:
    def one(row: tuple[str, str | None]) -> _Read:
        path, mask_path = row
        try:
            pixels = decode_image(Path(path).read_bytes())
        except UnreadableImage as error:
            return _Read(None, None, 1.0, str(error))
        image, aspect = squared(pixels, SIDE), pixels.shape[1] / pixels.shape[0]
        if not isinstance(mask_path, str):
            return _Read(image, None, aspect)
        try:
            drawn = decode_image(Path(mask_path).read_bytes())
        except FileNotFoundError:
            return _Read(image, None, aspect, "Its lung mask is not there; the image is used without it.")
        except UnreadableImage as error:
            return _Read(image, None, aspect, f"Its lung mask cannot be read; the image is used without it. {error}")
        if abs(drawn.shape[1] / drawn.shape[0] / aspect - 1) > _ASPECT_TOLERANCE:
            shapes = " and ".join(f"{shape[1]} × {shape[0]}" for shape in (drawn.shape, pixels.shape))
            return _Read(image, None, aspect, f"Its lung mask has another aspect ({shapes} pixels) and is not used.")
        if drawn.max() == drawn.min():
            return _Read(image, None, aspect, "Its lung mask shows no lungs and is not used.")
        return _Read(image, squared((drawn > drawn.max() / 2).astype(np.uint8) * 255, SIDE), aspect)

    rows = list(zip(table["path"], table["mask"], strict=True))
    with ThreadPoolExecutor(2) as pool:
        for done, found in enumerate(pool.map(one, rows), start=1):
            if progress and (done % 50 == 0 or done == len(rows)):
                progress(done, len(rows))
            yield found
