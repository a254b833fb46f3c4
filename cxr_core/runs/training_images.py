"""Which images was a classifier trained on, the backbone that it started from included?

An image is known by the SHA-256 of its content. A run tells its own in `split.csv`; a published classifier brings a
list of all, hashes only.
"""

from pathlib import Path

import pandas as pd

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.recipes.training_config import TrainingConfig
from cxr_core.runs.run import Run
from cxr_core.system.files import write_text

TRAINING_IMAGES_FILE = "training_images.txt"


def seen_digests(folder: str | Path) -> frozenset[str] | None:
    """Return the digests of the images that a classifier was trained on; None where its folder does not tell them.

    Args:
        folder: of a run or of a published classifier.

    Raises:
        ValueError: the run's configuration cannot be read.
    """
    listed = Path(folder) / TRAINING_IMAGES_FILE
    if listed.exists():
        return frozenset(listed.read_text(encoding="ascii").split())
    run = Run(Path(folder))
    split = run.split()
    if not {"digest", "split"} <= set(split) or not (run.path / "config.json").exists():
        return None
    return frozenset(split.loc[split["split"] == "train", "digest"].dropna()) | start_digests(run.config())


def start_digests(config: TrainingConfig) -> frozenset[str]:
    """Return the digests of the images that a run's starting weights were trained on; none for ImageNet's."""
    return (seen_digests(SHIPPED_MODEL_DIR) or frozenset()) if config.start == "shipped" else frozenset()


def save_training_images(run: Run, folder: str | Path) -> None:
    """Write the list of a run's training images into a new folder of a classifier; none where the run does not tell."""
    digests = seen_digests(run.path)
    if digests is not None:
        write_text(Path(folder) / TRAINING_IMAGES_FILE, "".join(f"{digest}\n" for digest in sorted(digests)))


def are_seen(table: pd.DataFrame, digests: frozenset[str]) -> pd.Series:
    """Return bool, the index of `table`: which of its images, with `digest`, are among these."""
    return table["digest"].astype(str).isin(digests)
