"""Build the teaching set that travels with the app, from public collections whose terms allow it.

Its images are of the built-in classifier's test side and of collections that it never saw: it was neither trained nor
tuned on any of them. Whole patients are drawn in an order that their names give, so that the folder comes out the same
each time. Eight copies and two wrong labels are planted; `index.csv` names them.
"""

import argparse
import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import pandas as pd

from cxr_core.audit.embeddings import dataset_embeddings
from cxr_core.audit.label_review import review_labels
from cxr_core.audit.projection import project_embeddings
from cxr_core.audit.spurious_correlations import find_spurious_correlations
from cxr_core.config import PROJECT_DIR, SHIPPED_MODEL_DIR, TEACHING_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.patient_ids import patient_of
from cxr_core.data.prepared_images import prepare_images
from cxr_core.data.property_table import measure_images
from cxr_core.data.teaching_set import ANALYSIS_DIR, write_checksums
from cxr_core.evaluation.hospitals.teaching_answers import teaching_answers
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.inference.classifier import load_classifier
from cxr_core.recipes.training_config import make_config
from cxr_core.splits.curation import Curation
from cxr_core.splits.duplicates import find_duplicates
from cxr_core.splits.groups import group_images
from cxr_core.system.arrays import ImageArray
from cxr_core.system.text import table_csv

_SIDE, _QUALITY = 512, 80


@dataclass(frozen=True)
class Collection:
    """Images of one class from one public collection, and the terms under which they are passed on.

    Attributes:
        folder: below the folder of all collections.
        name: of the folder in the teaching set.
        label: class of all its images.
        images: how many are drawn.
        of_a_patient: how many of one patient at most.
        source, licence, attribution: as `index.csv` tells them.
    """

    folder: str
    name: str
    label: str
    images: int
    of_a_patient: int
    source: str
    licence: str
    attribution: str


_GUANGZHOU = (
    "Guangzhou Women and Children's Medical Center",
    "CC BY 4.0",
    "Kermany, Zhang and Goldbaum 2018, doi:10.17632/rscbjbr9sj.2",
)
_NIH = ("NIH Clinical Center", "free with attribution", "Wang et al. 2017, ChestX-ray8, arXiv:1705.02315")
_HANNOVER = (
    "Hannover Medical School",
    "CC BY 3.0",
    "Winther et al. 2020, COVID-19 Image Repository, doi:10.25835/0090041",
)
COLLECTIONS = (
    Collection("covid_cxr/normal", "guangzhou", "normal", 40, 4, *_GUANGZHOU),
    Collection("external/nih/normal", "nih", "normal", 20, 2, *_NIH),
    Collection("external/hannover/covid", "hannover", "covid", 60, 4, *_HANNOVER),
    Collection("covid_cxr/virus", "guangzhou", "virus", 60, 4, *_GUANGZHOU),
)
# Looked at, and left out.
_TIME_BURNED_IN = (
    "person1269_virus_2162", "person1303_virus_2243", "person1321_virus_2279", "person1324_virus_2284",
    "person1342_virus_2315", "person1359_virus_2340", "person1360_virus_2341", "person341_virus_699",
    "person354_virus_729",
)  # fmt: skip
_STUDY_NUMBER_OR_TABLE_BURNED_IN = (
    "person124_virus_231", "person1287_virus_2210", "person1324_virus_2285", "person1358_virus_2339",
    "person1656_virus_2862", "person1657_virus_2864", "person1679_virus_2896", "person368_virus_748",
    "person47_virus_99",
)  # fmt: skip
_NOT_NORMAL = ("00001986_005", "00001986_006", "00001986_007", "00001986_011")
LEFT_OUT = frozenset((*_TIME_BURNED_IN, *_STUDY_NUMBER_OR_TABLE_BURNED_IN, *_NOT_NORMAL))
# The last of NIH that was looked at.
_LAST_SEEN_OF_NIH = "00002482_001"
# Taken in any case: children with several images, and an image that the gate refuses.
TAKEN_FIRST = frozenset(
    (
        "IM-0491-0001", "IM-0491-0001-0001", "IM-0491-0001-0002", "IM-0519-0001", "IM-0519-0001-0001",
        "IM-0519-0001-0002", "00002482_001", "00001280_004", "person111_virus_209", "person111_virus_210",
        "person111_virus_212", "person338_virus_694", "person445_virus_912",
    )
)  # fmt: skip
# Of which image a copy is planted, and how; the patient of a copy is not told.
COPIES = {
    "IM-0519-0001": "resized",
    "IM-0491-0001-0001": "cropped",
    "00001280_004": "saved again",
    "1052b0fe": "resized",
    "3b46de94": "cropped",
    "f8335316": "saved again",
    "person111_virus_209": "cropped",
    "person338_virus_694": "resized",
}
# These are given the other's label.
WRONG_LABELS = {"IM-0519-0001-0002": "virus", "person445_virus_912": "normal"}


def image_pool(collection: Collection, data: Path, hannover: pd.DataFrame) -> pd.DataFrame:
    """List the images of a collection that may be drawn.

    Args:
        collection: of which images.
        data: folder of all collections.
        hannover: the table that the Hannover repository publishes.

    Returns:
        `file` (Path), `stem`, `digest`, `patient`, `view`, `age` and `sex`, "" where nothing tells; sorted by name.
    """
    files = sorted(path for path in (data / collection.folder).iterdir() if path.stem not in LEFT_OUT)
    pool = pd.DataFrame({"file": files})
    pool["stem"] = pool["file"].map(lambda path: path.stem)
    pool["digest"] = pool["file"].map(lambda path: hashlib.sha256(path.read_bytes()).hexdigest())
    if collection.name == "guangzhou":
        predictions = pd.read_csv(SHIPPED_MODEL_DIR / "predictions.csv")
        pool = pool[pool["digest"].isin(predictions.loc[predictions["split"] == "test", "digest"])]
        # All images of this collection are anterior-posterior; it tells neither age nor sex of a child.
        return pool.assign(patient=pool["stem"].map(patient_of), view="AP", age="", sex="")
    if collection.name == "nih":
        told = pd.read_csv(data / "external/nih/index.csv", dtype=str)
        told["stem"] = told["path"].map(lambda path: Path(path).stem)
        told = told[told["age"].astype(int) >= 18]
        return pool[pool["stem"] <= _LAST_SEEN_OF_NIH].merge(told[["stem", "patient", "view", "age", "sex"]], on="stem")
    told = hannover.rename(columns={"image_id": "stem"}).assign(age="")
    told["view"], told["patient"] = told["projection"].str.upper(), "hannover:" + told["patient_id"]
    told["sex"] = told["sex"].str.upper()
    return pool.merge(told[["stem", "patient", "view", "age", "sex"]], on="stem")


def draw(pool: pd.DataFrame, collection: Collection) -> pd.DataFrame:
    """Draw whole patients, the chosen ones first and at most so many images of each, sorted by name."""
    order = pool["patient"].map(lambda patient: hashlib.sha256(patient.encode()).hexdigest())
    chosen = pool["stem"].isin(TAKEN_FIRST)
    of_chosen = pool["patient"].isin(pool.loc[chosen, "patient"])
    pool = pool.assign(order=order, chosen=chosen, of_chosen=of_chosen)
    pool = pool.sort_values(["of_chosen", "order", "chosen", "stem"], ascending=[False, True, False, True])
    pool = pool[pool.groupby("patient").cumcount() < collection.of_a_patient]
    return pool.head(collection.images).sort_values("stem")


def alter(image: ImageArray, how: str) -> tuple[ImageArray, int]:
    """Return a copy of an image as copies come about, and the quality that it is saved at."""
    height, width = image.shape
    if how == "resized":
        return cv2.resize(image, (width * 5 // 8, height * 5 // 8), interpolation=cv2.INTER_AREA), _QUALITY
    if how == "cropped":
        return image[height // 16 : height - height // 16, width // 20 : width - width // 12], _QUALITY
    return image, 45


def build(data: Path, hannover: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Write the images into a folder and return its index."""
    rows: list[dict[str, str]] = []

    def write(name: str, image: ImageArray, quality: int, **told: str) -> None:
        options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        encoded = cv2.imencode(".jpg", image, options)[1].tobytes()
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded)
        rows.append({"path": name, **told, "sha256": hashlib.sha256(encoded).hexdigest()})

    for collection in COLLECTIONS:
        terms = {name: getattr(collection, name) for name in ("source", "licence", "attribution")}
        for row in draw(image_pool(collection, data, hannover), collection).itertuples():
            image = cv2.imread(str(row.file), cv2.IMREAD_GRAYSCALE)
            scale = min(1.0, _SIDE / max(image.shape))
            size = round(image.shape[1] * scale), round(image.shape[0] * scale)
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            label = WRONG_LABELS.get(row.stem, collection.label)
            planted = "" if label == collection.label else f"wrong label: {collection.label}"
            # A name that tells the class would give the wrong label away.
            name = f"{collection.name}/{f'scan-{len(rows):03d}' if planted else row.stem}.jpg"
            told = {"label": label, "view": row.view, "age": row.age, "sex": row.sex, **terms, "original": row.digest}
            write(name, image, _QUALITY, patient=row.patient, planted=planted, **told)
            if row.stem in COPIES:
                how, copy = COPIES[row.stem], f"{collection.name}/scan-{len(rows):03d}.jpg"
                write(copy, *alter(image, how), patient="", planted=f"copy, {how}: {name}", **told)
    columns = [
        "path", "label", "patient", "view", "age", "sex", "source", "licence", "attribution", "planted", "sha256",
        "original",
    ]  # fmt: skip
    return pd.DataFrame(rows)[columns].sort_values("path", ignore_index=True)


def silent(name: str) -> None:
    """A phase that nobody follows."""


def analyse(folder: Path) -> None:
    """Compute what pages and a visitor's training would otherwise wait for, and keep it beside the images.

    Prepared images are left out: they are larger than the images themselves, and made in a second or two.
    """
    # TensorFlow takes seconds to load, and only this needs it.
    from cxr_core.training.fit import frozen_features
    from cxr_core.training.network import build_model

    with TemporaryDirectory() as name:
        cache = Path(name)
        table = scan_dataset(folder, index_dir=cache / "index").table
        find_duplicates(prepare_images(table, Preprocessing(), cache_dir=cache), cache_dir=cache)
        measured = measure_images(table, cache_dir=cache)
        known = dataset_embeddings(table, phase=silent, cache_dir=cache)
        group = group_images(table, Curation(), phase=silent)
        review_labels(known, group.table["class_name"], group.groups, cache_dir=cache)
        find_spurious_correlations(group.table, measured, group.groups, cache_dir=cache)
        classes, path = known.prepared.table["class_name"], cache / "maps" / f"{known.key}.npz"
        project_embeddings(known.values, class_names=classes, cache_path=path)
        teaching_answers(load_classifier(SHIPPED_MODEL_DIR), table, cache_dir=cache)
        config = make_config("quick", roots=(str(folder),), start="shipped")
        prepared = prepare_images(table, config.preprocessing, cache_dir=cache)
        frozen_features(build_model(config, classes.nunique()), config, prepared, lambda done, total: None, cache)
        shutil.rmtree(folder / ANALYSIS_DIR, ignore_errors=True)
        for kind in ("duplicates", "measures", "features", "maps", "doubts", "correlations", "answers"):
            shutil.copytree(cache / kind, folder / ANALYSIS_DIR / kind)
        write_checksums(folder)


def main() -> None:
    """Build the folder anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hannover", type=Path, help="data.csv of github.com/ml-workgroup/covid-19-image-repository")
    parser.add_argument("--data", type=Path, default=PROJECT_DIR.parent / "shared" / "data", help="the collections")
    arguments = parser.parse_args()
    for collection in COLLECTIONS:
        shutil.rmtree(TEACHING_DIR / collection.name, ignore_errors=True)
    index = build(arguments.data, pd.read_csv(arguments.hannover, dtype=str), TEACHING_DIR)
    (TEACHING_DIR / "index.csv").write_text(table_csv(index).replace("\r\n", "\n"), encoding="utf-8", newline="")
    analyse(TEACHING_DIR)
    size = sum(path.stat().st_size for path in TEACHING_DIR.rglob("*.*"))
    print(index.groupby(["label", "source"]).size().to_string(), f"\n{len(index)} images, {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
