"""Which commands classify images?"""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_core.cli.arguments import Commands, add_command, add_json, add_target_file, add_target_folder
from cxr_core.cli.io import progress_bar, write_result
from cxr_core.config import NOTICE, SHIPPED_MODEL_DIR
from cxr_core.system.text import printable_name

if TYPE_CHECKING:
    from cxr_core.inference.classifier import Classifier
    from cxr_core.inference.image_sources import Source
    from cxr_core.inference.prediction_rows import PredictionRow
    from cxr_core.inference.selective_prediction import Answer

_MODEL_HELP = "model or run folder (default: the built-in classifier)"
_SETS_HELP = "give all classes that cannot be left out, the true one in 90 %% of cases"
_SITE_HELP = "say with each answer whether the threshold of this site is reached; `site --save NAME` chooses one"
# Given a file's number, counted from 1, and its answer: the contents of a file to write, or None for no file.
_Maker = Callable[[int, "Answer"], bytes | None]


def _predict(options: argparse.Namespace) -> int:
    from cxr_core.inference.batch_prediction import predict_batch
    from cxr_core.inference.image_sources import path_sources
    from cxr_core.inference.prediction_rows import rows_csv, with_set
    from cxr_core.system.files import write_text

    classifier = _classifier(options)
    limits = _set_limits(options.model, classifier.classes) if options.sets else None
    sources = [source for path in options.files for source in path_sources(path)]
    writers = _answer_writers(options, classifier, sources)

    def keep(number: int, answer: "Answer") -> None:
        for write in writers:
            write(number, answer)

    items = predict_batch(classifier, sources, keep=keep, progress=progress_bar("Predicting"))
    rows = [item.row if limits is None else with_set(item.row, limits) for item in items]
    lines = [f"{printable_name(row['file'])}: {_row_summary(row)}" for row in rows]
    write_result(rows, options.json, "\n".join(lines))
    if options.csv:
        write_text(options.csv, rows_csv(rows, classifier.classes))
    print(NOTICE, file=sys.stderr)
    return int(any(row["status"] == "error" for row in rows))


def _classifier(options: argparse.Namespace) -> "Classifier":
    """Open the classifier of a command, with the threshold of a site where one is named."""
    from cxr_core.inference.classifier import load_classifier
    from cxr_core.inference.site_profile import use_profile

    classifier = load_classifier(options.model)
    return use_profile(classifier, options.site) if options.site else classifier


def _set_limits(folder: Path, classes: "Sequence[str]") -> "dict[str, float]":
    """Return from which probability on a classifier's classes are in its prediction sets."""
    from cxr_core.evaluation.hospitals.conformal_sets import run_sets

    limits = run_sets(folder, classes)
    if limits is None:
        raise ValueError(f"{folder} has no predictions on validation images, which prediction sets are made from.")
    return limits


def _row_summary(row: "PredictionRow") -> str:
    if "set" in row:
        from cxr_core.inference.prediction_rows import set_words

        return f"{set_words(row['set'])}. {' '.join(row['reasons'])}".strip()
    if row["label"] is not None:
        return f"{row['label']} {row['probabilities'][row['label']]:.3f}"
    return row["error"] or f"no answer. {' '.join(row['reasons'])}"


def _answer_writers(
    options: argparse.Namespace, classifier: "Classifier", sources: "Sequence[Source]"
) -> "list[Callable[[int, Answer], None]]":
    """Return what writes the requested files of each answer; called with the file's number and the answer."""
    makers = (
        (options.cam_dir, ".png", _overlay_maker),
        (options.lungs_dir, ".png", _lungs_maker),
        (options.report_dir, ".html", _report_maker),
        (options.dicom_dir, ".dcm", _dicom_maker),
    )
    return [_writer(folder, ending, maker(classifier, sources), sources) for folder, ending, maker in makers if folder]


def _writer(folder: Path, ending: str, make: _Maker, sources: "Sequence[Source]") -> "Callable[[int, Answer], None]":
    from cxr_core.inference.batch_prediction import numbered_name
    from cxr_core.system.files import atomic_path

    folder.mkdir(parents=True, exist_ok=True)

    def write(number: int, answer: "Answer") -> None:
        if (content := make(number, answer)) is not None:
            with atomic_path(folder / numbered_name(number, sources[number - 1].name, ending)) as path:
                path.write_bytes(content)

    return write


def _overlay_maker(classifier: "Classifier", _sources: "Sequence[Source]") -> _Maker:
    from cxr_core.imaging.display import png_bytes

    return lambda _number, answer: png_bytes(answer.overlay(classifier, answer.prediction.label))


def _lungs_maker(_classifier: "Classifier", _sources: "Sequence[Source]") -> _Maker:
    from cxr_core.imaging.display import display_rgb, png_bytes
    from cxr_core.imaging.lung_segmentation import draw_outline

    return lambda _number, answer: png_bytes(draw_outline(display_rgb(answer.prediction.image), answer.view.lungs))


def _report_maker(classifier: "Classifier", sources: "Sequence[Source]") -> _Maker:
    from datetime import datetime

    from cxr_core.reporting.scan_report import model_facts, scan_report

    facts, made = model_facts(classifier), datetime.now().astimezone()
    return lambda number, answer: scan_report(sources[number - 1].name, answer, classifier, facts, made=made).encode()


def _dicom_maker(classifier: "Classifier", _sources: "Sequence[Source]") -> _Maker:
    from datetime import datetime

    from cxr_core.reporting.dicom_secondary_capture import overlay_dicom

    made = datetime.now().astimezone()
    return lambda _number, answer: overlay_dicom(answer, classifier, answer.label, made=made) if answer.label else None


def _site(options: argparse.Namespace) -> None:
    from cxr_core.evaluation.hospitals.site import site_images, threshold_profile, try_site
    from cxr_core.inference.classifier import load_classifier
    from cxr_core.inference.site_profile import save_profile

    classifier = load_classifier(options.model)
    report = try_site(
        classifier, *site_images(classifier, options.folder), class_name=options.class_name, miss_rate=options.misses,
        seed=options.seed, progress=progress_bar("Predicting"),
    )  # fmt: skip
    if options.save:
        save_profile(classifier, threshold_profile(report, options.save))
    write_result(report, options.json, "\n".join(report["sentences"]))
    print(NOTICE, file=sys.stderr)


def _serve(options: argparse.Namespace) -> None:
    if any(find_spec(name) is None for name in ("fastapi", "fastapi_offline", "uvicorn")):
        raise ValueError("`serve` needs further packages: pip install -r requirements-extra.txt")
    from cxr_core.http_api import build_api, read_token, serve_api

    token = read_token(options.token_file)
    if token is None and options.host not in ("127.0.0.1", "::1", "localhost"):
        print(
            "No token is set: anyone who can reach this computer can classify images. See CXR_LAB_TOKEN.",
            file=sys.stderr,
        )
    classifier = _classifier(options)
    limits = _set_limits(options.model, classifier.classes) if options.sets else None
    serve_api(build_api(classifier, token=token, set_limits=limits), options.host, options.port)


def _marked(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    from cxr_core.inference.marked_answers import load_marked, marked_csv
    from cxr_core.system.files import write_text

    marked = load_marked()
    lines = [f"{one.date} {one.digest} {one.answer or 'no answer'} -> {one.truth}" for one in marked]
    write_result([asdict(one) for one in marked], options.json, "\n".join(map(printable_name, lines)))
    if options.csv:
        write_text(options.csv, marked_csv(marked))


def add_commands(commands: Commands) -> None:
    """Add the commands that classify images, or tell how that went, to a parser."""
    _add_predict(commands)
    _add_marked(commands)
    _add_site(commands)
    _add_serve(commands)


def _add_predict(commands: Commands) -> None:
    predict = add_command(commands, "predict", _predict, f"Classify images. {NOTICE}")
    predict.add_argument("files", metavar="FILE", nargs="+", type=Path, help="an image, a folder or a ZIP of images")
    predict.add_argument("--model", type=Path, default=SHIPPED_MODEL_DIR, help=_MODEL_HELP)
    predict.add_argument("--site", metavar="NAME", help=_SITE_HELP)
    predict.add_argument("--sets", action="store_true", help=_SETS_HELP)
    add_target_folder(predict, "--cam-dir", type=Path, help="write one Grad-CAM overlay per file here, as PNG")
    add_target_folder(
        predict, "--lungs-dir", type=Path,
        help="write each image with its lungs outlined here, as PNG; a dashed box where none were found",
    )  # fmt: skip
    add_target_folder(predict, "--report-dir", type=Path, help="write one HTML page per file here, to print or keep")
    add_target_folder(
        predict, "--dicom-dir", type=Path, help="write one overlay per answer here, as DICOM without patient data"
    )
    add_target_file(predict, "--csv", type=Path, metavar="FILE", help="write a table here, one row per file")
    add_json(predict)


def _add_marked(commands: Commands) -> None:
    marked = add_command(commands, "marked", _marked, "List the answers that were marked as wrong on the Predict page.")
    add_target_file(marked, "--csv", type=Path, metavar="FILE", help="write a table here, one row per answer")
    add_json(marked)


def _add_site(commands: Commands) -> None:
    site = add_command(
        commands, "site", _site,
        "Try a classifier on 30 images or more of one hospital: how different they are, what it answers and, with "
        "labels, how often it is right.",
    )  # fmt: skip
    site.add_argument("folder", metavar="DIR", type=Path, help="images, in one folder per class where they have labels")
    site.add_argument("model", metavar="MODEL", nargs="?", type=Path, default=SHIPPED_MODEL_DIR, help=_MODEL_HELP)
    site.add_argument("--class", dest="class_name", metavar="CLASS", help="class of the alarm (default: COVID-19)")
    site.add_argument(
        "--misses", type=float, default=0.1, metavar="SHARE",
        help="proportion of that class that the site's threshold may miss (default: 0.1)",
    )  # fmt: skip
    site.add_argument("--save", metavar="NAME", help="keep the threshold under this name, for --site")
    site.add_argument("--seed", type=int, default=0, help="seed of the two-sample test")
    add_json(site)


def _add_serve(commands: Commands) -> None:
    serve = add_command(commands, "serve", _serve, f"Serve predictions over HTTP. {NOTICE}")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this computer only)")
    serve.add_argument("--port", type=int, default=8600, help="port to listen on (default: 8600)")
    serve.add_argument("--model", type=Path, default=SHIPPED_MODEL_DIR, help=_MODEL_HELP)
    serve.add_argument("--site", metavar="NAME", help=_SITE_HELP)
    serve.add_argument("--sets", action="store_true", help=f"{_SETS_HELP}, to a client that asks for sets=true")
    serve.add_argument(
        "--token-file", type=Path, metavar="FILE",
        help="holds the token that clients must send (default: the value of CXR_LAB_TOKEN, else none)",
    )  # fmt: skip
