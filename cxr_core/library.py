"""What does a script call? Training, evaluation, Grad-CAM and the audit in one call each."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_core.system.arrays import FloatArray
from cxr_core.system.progress import Phase

if TYPE_CHECKING:
    from cxr_core.evaluation.metrics import Metrics
    from cxr_core.inference.classifier import Classifier
    from cxr_core.recipes.training_config import TrainingConfig
    from cxr_core.runs.run import Run

_POLL_SECONDS = 0.2


def train(config: "TrainingConfig", *, runs_dir: str | Path | None = None) -> "Run":
    """Train a classifier in a process of its own, and wait for its end.

    Args:
        config: from `make_config`; it decides the result.
        runs_dir: folder of all runs, by default `config.RUNS_DIR`.

    Returns:
        The finished Run: its folder holds the classifier, its metrics and how to repeat it.

    Raises:
        ValueError: the run stopped or failed; the sentence says why, and the run's folder holds its log.

    Example:
        >>> from tempfile import mkdtemp
        >>> from cxr_core import draw_demo_data, load_classifier, make_config, train
        >>> folder = draw_demo_data(mkdtemp() + "/demo", images_per_class=24)
        >>> config = make_config("quick", roots=(str(folder),), settings=["epochs=1", "start=shipped", "batch_size=16"])
        >>> run = train(config, runs_dir=mkdtemp())
        >>> load_classifier(run.path).classes
        ('normal', 'covid', 'virus')
    """
    from cxr_core.config import RUNS_DIR
    from cxr_core.runs.lifecycle import start_run

    run = start_run(config, runs_dir or RUNS_DIR)
    while (status := run.status()).is_active:
        time.sleep(_POLL_SECONDS)
    if status.state != "finished":
        raise ValueError(f"The training in {run.path} is {status.state}: {status.message}")
    return run


def evaluate(classifier: "Classifier", *folders: str | Path, progress: Phase | None = None) -> "Metrics":
    """Classify and score every image of a labelled data set.

    Args:
        classifier: from `load_classifier`.
        *folders: one folder per class inside, or a CSV file, as for `scan_dataset`.
        progress: called with the name of each phase.

    Returns:
        Accuracy, sensitivity and AUC per class with 95 % intervals, confusion matrix, calibration.

    Raises:
        FileNotFoundError: a folder is not there.
        ValueError: no images, or a class that the classifier does not know.

    Example:
        >>> from tempfile import mkdtemp
        >>> from cxr_core import SHIPPED_MODEL_DIR, draw_demo_data, evaluate, load_classifier
        >>> drawings = draw_demo_data(mkdtemp() + "/demo", images_per_class=4)
        >>> metrics = evaluate(load_classifier(SHIPPED_MODEL_DIR), drawings)
        >>> metrics["n"], metrics["classes"]
        (12, ['normal', 'covid', 'virus', 'other'])
    """
    from cxr_core.evaluation.scoring import score_folders

    return score_folders(classifier, *folders, progress=progress)[0]


def gradcam(classifier: "Classifier", data: bytes, class_name: str | None = None) -> FloatArray:
    """Show where a classifier looked for a class.

    Args:
        classifier: from `load_classifier`.
        data: the bytes of an image file.
        class_name: one of the classifier's classes, by default the one that it answers.

    Returns:
        float32 (H, W) in [0, 1] at the image's own size; all zeros where nothing speaks for the class.

    Raises:
        reader.UnreadableImage: the bytes are no image, too large or broken.
        ValueError: the classifier has no such class.

    Source:
        Selvaraju et al. 2017, arXiv:1610.02391.

    Example:
        >>> import numpy as np
        >>> from cxr_core import SHIPPED_MODEL_DIR, draw_phantom, gradcam, load_classifier
        >>> from cxr_core.imaging.display import png_bytes
        >>> drawing = draw_phantom("covid", np.random.default_rng(0))
        >>> map_ = gradcam(load_classifier(SHIPPED_MODEL_DIR), png_bytes(drawing), "covid")
        >>> map_.shape == drawing.shape, bool(0 <= map_.min() <= map_.max() <= 1)
        (True, True)
    """
    prediction = classifier.predict_image(data)
    class_name = prediction.label if class_name is None else class_name
    if class_name not in prediction.classes:
        raise ValueError(f"class_name must be one of {', '.join(prediction.classes)}; received {class_name!r}.")
    map_ = prediction.maps[prediction.classes.index(class_name)]
    return classifier.map_on_image(map_, prediction.image.shape)


def audit_dataset(*folders: str | Path, progress: Phase | None = None) -> dict[str, Any]:
    """Say everything about a data set that can be said before training.

    Args:
        *folders: one folder per class inside, or a CSV file, as for `scan_dataset`.
        progress: called with the name of each phase.

    Returns:
        Plain values, as `cxr-lab audit DIR --json -` prints them: sizes, duplicates, flags, leakage per kind of
        split, and what gives the class away.

    Raises:
        FileNotFoundError: a folder is not there.
        ValueError: no images.

    Example:
        >>> from tempfile import mkdtemp
        >>> from cxr_core import audit_dataset, draw_demo_data
        >>> report = audit_dataset(draw_demo_data(mkdtemp() + "/demo", images_per_class=6))
        >>> report["images"], report["leakage"]["grouped"]["share_with_train"]
        (18, 0)
    """
    from cxr_core.audit.data_audit import audit_report
    from cxr_core.data.dataset import scan_dataset
    from cxr_core.splits.curation import dataset_decisions
    from cxr_core.splits.label_decisions import with_decided_labels

    phase = progress or (lambda _: None)
    dataset = scan_dataset(*folders, progress=phase("Listing the images"))
    curation = dataset_decisions(dataset.table, dataset.roots)
    return audit_report(with_decided_labels(dataset, curation), curation, phase=phase)
