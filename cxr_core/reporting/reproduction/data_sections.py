"""What do the article's sections on data say, and what is found here? Sections 1 to 6."""

from collections.abc import Iterable

import cv2
import numpy as np
import pandas as pd

from cxr_core.classes import class_label
from cxr_core.imaging.augmentation import Augmentation
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.imaging.reader import read_image
from cxr_core.reporting.reproduction import claims
from cxr_core.reporting.reproduction.images import contact_sheet, jpeg, read_tiles, tile
from cxr_core.reporting.reproduction.page import Picture, Section, Table
from cxr_core.reporting.reproduction.record import RunRecord
from cxr_core.reporting.reproduction.texts import NOTHING, counted, signed
from cxr_core.splits.split import SPLIT_KINDS
from cxr_core.system.arrays import ImageArray, UInt8Array
from cxr_core.system.text import listed

_SAMPLES, _COMPARED = 6, 12
_PHOTO, _THIRD = 460, 330


def data_sections(record: RunRecord) -> tuple[Section, ...]:
    """Return sections 1 to 6."""
    return (
        _description(record),
        _exploration(record),
        _white_balance(record),
        _split(record),
        _normalization(record),
        _augmentation(record),
    )


def printed_sizes(sizes: Iterable[tuple[int, int]]) -> tuple[int, int, int, int]:
    """Measure images as the article's listing does, which compares a width with the greatest height so far.

    Args:
        sizes: (width, height) of each image, in the order in which they are read.

    Returns:
        Least and greatest width, least and greatest height, as it prints them.
    """
    min_width, max_width, min_height, max_height = 10**100, 0, 10**100, 0
    for width, height in sizes:
        min_width = min(width, min_width)
        max_width = max(width, max_height)
        min_height = min(height, min_height)
        max_height = max(height, max_height)
    return min_width, max_width, min_height, max_height


def article_image_u8(image: ImageArray) -> UInt8Array:
    """Prepare an image by the article's listing: white balance of each channel, grey, 224 × 224.

    Args:
        image: uint8 (H, W) or (H, W, 3) BGR, not of one value alone.

    Returns:
        uint8 (224, 224).
    """
    channels = cv2.split(image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    balanced = []
    for channel in channels:
        low, high = np.percentile(channel, 0.05), np.percentile(channel, 100.0 - 0.05)
        balanced.append(np.uint8(np.clip((channel - low) * 255.0 / (high - low), 0, 255)))
    return cv2.resize(cv2.cvtColor(np.dstack(balanced), cv2.COLOR_BGR2GRAY), (224, 224))


def _description(record: RunRecord) -> Section:
    counts = record.dataset.table["class_name"].value_counts()
    rows = [
        (class_label(name), f"{record.claims[name].images:,}" if record.claims else NOTHING, f"{counts.get(name, 0):,}")
        for name in record.classes
    ]
    total = int(sum(counts.get(name, 0) for name in record.classes))
    rows.append(("All", f"{claims.IMAGES:,}" if record.claims else NOTHING, f"{total:,}"))
    unread = len(record.dataset.unreadable)
    apart = [f"{counted(unread, 'file')} could not be read"] if unread else []
    left_out = total - len(record.images)
    apart += (
        [f"{counted(left_out, 'image')} {'was' if left_out == 1 else 'were'} left out of this run"] if left_out else []
    )
    remark = f" {listed(apart).capitalize()}." if apart else ""
    return Section(
        "1. Dataset description",
        f"{claims.IMAGES:,} posteroanterior radiographs of Normal, viral and COVID-19 patients."
        if record.claims
        else "",
        (_count_difference(record, counts, total) if record.claims else f"This data set has {counted(total, 'image')}.")
        + remark,
        (Table(("class", "images in the article", "images here"), tuple(rows)),),
    )


def _count_difference(record: RunRecord, counts: pd.Series, total: int) -> str:
    if total == claims.IMAGES and all(counts[name] == claim.images for name, claim in record.claims.items()):
        return "The counts agree."
    differing = [
        f"{signed(counts[name] - claim.images)} {class_label(name)}"
        for name, claim in record.claims.items()
        if counts[name] != claim.images
    ]
    return f"This copy of the data set differs by {listed(differing)} images."


def _exploration(record: RunRecord) -> Section:
    rows, slips = [], []
    for name in record.classes:
        of_class = record.images[record.images["class_name"] == name].sort_values("file")
        sizes = list(zip(of_class["width"].astype(int), of_class["height"].astype(int), strict=True))
        widths, heights = zip(*sizes, strict=True)
        _, printed, _, _ = printed_sizes(sizes)
        claim = record.claims.get(name)
        claimed = (*claim.widths, *claim.heights) if claim else (NOTHING,) * 4
        found = (min(widths), max(widths), min(heights), max(heights))
        rows.append((class_label(name), "article", *map(str, claimed)))
        rows.append((class_label(name), "here", *map(str, found)))
        rows.append((class_label(name), "here, by its listing", str(found[0]), str(printed), *map(str, found[2:])))
        if printed != max(widths):
            slips.append(f"{class_label(name)} {printed} instead of {max(widths)}")
    header = ("class", "measured", "min width", "max width", "min height", "max height")
    return Section(
        "2. Exploratory data analysis",
        "Sizes vary most among COVID-19 images; the greatest width equals the greatest height in every class."
        if record.claims
        else "",
        "The article's listing compares each width with the greatest height so far (max(width, data['max_height'])), "
        "so what it prints as the greatest width is no width: "
        + (f"here it would print {listed(slips)}." if slips else "on this data set it happens to print the right one."),
        (Table(header, tuple(rows)),),
        tuple(_sample_sheet(record, name) for name in record.classes),
    )


def _sample_sheet(record: RunRecord, name: str) -> Picture:
    rows = record.shown(name)
    chosen = rows.sample(min(_SAMPLES, len(rows)), random_state=record.rng())
    sheet = contact_sheet(read_tiles(chosen["path"]), columns=3)
    return Picture(
        f"samples-{_slug(record, name)}.jpg",
        _of_class(record, name, f"{len(chosen)} images of"),
        jpeg(sheet, _THIRD),
        True,
    )


def _white_balance(record: RunRecord) -> Section:
    virus = record.known_class("virus")
    rows = record.shown(virus)
    of_article = rows[rows["file"].str.contains(claims.WHITE_BALANCE_FILE, regex=False)]
    row = (of_article if len(of_article) else rows).iloc[0]
    image = read_image(row["path"])
    balanced = Preprocessing().image_u8(image)
    # At the image's own aspect, as the article shows it.
    balanced = cv2.resize(balanced, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    others = [read_image(path) for name in record.classes for path in record.shown(name)["path"][: _COMPARED // 2]]
    compared = [other for other in others if other.dtype == np.uint8 and other.min() < other.max()]
    differences = [cv2.absdiff(article_image_u8(other), Preprocessing().image_u8(other)).max() for other in compared]
    agreement = (
        f"On {len(compared)} images the article's listing and ours {_agreement(max(differences))}."
        if compared
        else "The article's own listing reads images of 8 bits alone, and none was compared."
    )
    same_file = "The article's own example. " if len(of_article) else ""
    return Section(
        "3. Data loading and image pre-processing",
        "White balance stretches each channel between its 0.05th and 99.95th percentile, and makes the image “more "
        "enhanced”."
        if record.claims
        else "",
        f"{agreement} A radiograph stored with three equal channels has no colour to balance: the step is a stretch of "
        "its contrast.",
        pictures=(
            Picture("white-balance-before.jpg", f"{same_file}As stored: {row['file']}", jpeg(image, _PHOTO), True),
            Picture("white-balance-after.jpg", "After the white balance", jpeg(balanced, _PHOTO), True),
        ),
    )


def _agreement(difference: int) -> str:
    return f"differ by at most {difference} of 255 grey values" if difference else "give the same pixels"


def _split(record: RunRecord) -> Section:
    counts = record.environment["data"]["images"]
    sides = ("train", "validation", "test")
    rows = [(class_label(name), *(f"{counts[side].get(name, 0):,}" for side in sides)) for name in record.classes]
    totals = [sum(counts[side].values()) for side in sides]
    rows.append(("All", *(f"{total:,}" for total in totals)))
    if record.claims:
        rows.append(
            ("Article", f"{claims.IMAGES - claims.TEST_IMAGES:,}", "the test images", f"{claims.TEST_IMAGES:,}")
        )
    kind = record.setting["split"]
    is_articles = kind == "article"
    how = (
        "As in the article, the test images are also the validation images: they chose the epoch that they then score."
        if is_articles
        else f"The split differs from the article's. {SPLIT_KINDS[kind]}"
    )
    leakage = record.card.metrics.get("leakage", {}).get("sentence", "")
    return Section(
        "4. Train test split",
        "Of the shuffled images 80 % train, and 20 % test." if record.claims else "",
        f"{how} {leakage}".strip(),
        (Table(("class", *sides), tuple(rows)),),
    )


def _normalization(record: RunRecord) -> Section:
    preprocessing = record.card.preprocessing
    row = record.shown(record.classes[0]).iloc[0]
    scaled = preprocessing.scaled(preprocessing.image_u8(read_image(row["path"])))
    is_articles = preprocessing.scaling == "0..1"
    return Section(
        "5. Image normalization",
        "Pixels are divided by 255, so that they lie between 0 and 1; labels become one-hot vectors."
        if record.claims
        else "",
        ("As in the article, though " if is_articles else "The recipe differs from the article here: ")
        + "Keras's weights of MobileNetV2 were trained on inputs from −1 to 1.",
        (
            Table(
                ("input of the network", "least", "greatest", "shape"),
                ((row["file"], f"{scaled.min():.2f}", f"{scaled.max():.2f}", " × ".join(map(str, scaled.shape))),),
            ),
        ),
    )


def _augmentation(record: RunRecord) -> Section:
    name, rng = record.known_class("virus"), record.rng()
    row = record.shown(name, "train").iloc[0]
    image_u8 = Preprocessing().image_u8(read_image(row["path"]))
    augmentation = Augmentation()
    copies = [tile(augmentation.apply(image_u8, rng)) for _ in range(claims.AUGMENTED_COPIES)]
    is_frozen = record.setting["train_from"] == "head"
    is_articles = not is_frozen and record.run.config().augmentation == augmentation
    return Section(
        "6. Image augmentation",
        "Training images are rotated by up to 15° and mirrored; zoom, shear and brightness “resulted in lower model "
        "performance”."
        if record.claims
        else "",
        "Ours is the article's augmentation, drawn from a seed; fill_mode, which the article counts as a third "
        "transformation, only fills the corners."
        if is_articles
        else "Shown is the article's augmentation. "
        + (
            "This run used none: the features of its frozen backbone are computed once."
            if is_frozen
            else "This run used another one."
        ),
        pictures=(
            Picture("augmentation-original.jpg", f"The image: {row['file']}", jpeg(image_u8, 200), True),
            Picture(
                "augmentation.jpg",
                f"{claims.AUGMENTED_COPIES} augmented copies of it",
                jpeg(contact_sheet(copies, columns=7), 900),
            ),
        ),
    )


def _of_class(record: RunRecord, name: str, words: str) -> str:
    remark = ", from another collection in place of the data set's own" if name in record.stand_ins else ""
    return f"{words} {class_label(name)}{remark}"


def _slug(record: RunRecord, name: str) -> str:
    """Return a file name's part for a class, whatever the class is called."""
    return str(record.classes.index(name) + 1)
