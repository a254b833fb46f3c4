"""Commands that answer images."""

import sys
from importlib.util import find_spec
from pathlib import Path

from cxr_core.cli.arguments import add_command, add_json
from cxr_core.cli.io import progress_bar, write_result
from cxr_core.config import NOTICE, SHIPPED_MODEL_DIR
from cxr_core.system.text import printable_name


def _predict(options):
    from cxr_core.inference.batch_prediction import predict_batch
    from cxr_core.inference.classifier import load_classifier
    from cxr_core.inference.image_sources import path_sources
    from cxr_core.inference.prediction_rows import rows_csv
    from cxr_core.system.files import write_text

    classifier = load_classifier(options.model)
    sources = [source for path in options.files for source in path_sources(path)]
    writers = _answer_writers(options, classifier, sources)

    def keep(number, answer):
        for write in writers:
            write(number, answer)

    items = predict_batch(classifier, sources, keep=keep, progress=progress_bar("Predicting"))
    rows = [item.row for item in items]
    lines = [f"{printable_name(row['file'])}: {_row_summary(row)}" for row in rows]
    write_result(rows, options.json, "\n".join(lines))
    if options.csv:
        write_text(options.csv, rows_csv(rows, classifier.classes))
    print(NOTICE, file=sys.stderr)
    return int(any(row["status"] == "error" for row in rows))


def _row_summary(row):
    if row["status"] == "ok":
        return f"{row['label']} {row['probabilities'][row['label']]:.3f}"
    return row["error"] or f"no answer. {' '.join(row['reasons'])}"


def _answer_writers(options, classifier, sources):
    """Return what writes the files that were asked for of every answer: callables (number, answer)."""
    makers = (
        (options.cam_dir, ".png", _overlay_maker),
        (options.report_dir, ".html", _report_maker),
        (options.dicom_dir, ".dcm", _dicom_maker),
    )
    return [_writer(folder, ending, maker(classifier, sources), sources) for folder, ending, maker in makers if folder]


def _writer(folder, ending, make, sources):
    from cxr_core.inference.batch_prediction import numbered_name

    folder.mkdir(parents=True, exist_ok=True)

    def write(number, answer):
        if (content := make(number, answer)) is not None:
            (folder / numbered_name(number, sources[number - 1].name, ending)).write_bytes(content)

    return write


def _overlay_maker(classifier, _sources):
    from cxr_core.imaging.display import png_bytes

    return lambda _number, answer: png_bytes(answer.overlay(classifier, answer.prediction.label))


def _report_maker(classifier, sources):
    from datetime import datetime

    from cxr_core.reporting.scan_report import model_facts, scan_report

    facts, made = model_facts(classifier), datetime.now().astimezone()
    return lambda number, answer: scan_report(sources[number - 1].name, answer, classifier, facts, made=made).encode()


def _dicom_maker(classifier, _sources):
    from datetime import datetime

    from cxr_core.reporting.dicom_secondary_capture import overlay_dicom

    made = datetime.now().astimezone()
    return lambda _number, answer: answer.label and overlay_dicom(answer, classifier, answer.label, made=made)


def _serve(options):
    if any(find_spec(name) is None for name in ("fastapi", "fastapi_offline", "uvicorn")):
        raise ValueError("`serve` needs further packages: pip install -r requirements-extra.txt")
    from cxr_core.http_api import build_api, read_token, serve_api
    from cxr_core.inference.classifier import load_classifier

    token = read_token(options.token_file)
    if token is None and options.host not in ("127.0.0.1", "::1", "localhost"):
        print("No token is set: whoever can reach this computer can ask. See CXR_LAB_TOKEN.", file=sys.stderr)
    serve_api(build_api(load_classifier(options.model), token=token), options.host, options.port)


def add_commands(commands):
    """Add the commands that answer images to a parser."""
    _add_predict(commands)
    _add_serve(commands)


def _add_predict(commands):
    predict = add_command(commands, "predict", _predict, f"Classify images. {NOTICE}")
    predict.add_argument("files", metavar="FILE", nargs="+", type=Path, help="an image, a folder or a ZIP of images")
    predict.add_argument(
        "--model", type=Path, default=SHIPPED_MODEL_DIR, help="model or run folder (default: the shipped one)"
    )
    predict.add_argument("--cam-dir", type=Path, help="write one Grad-CAM overlay PNG per file here")
    predict.add_argument("--report-dir", type=Path, help="write one HTML page per file here, to print or keep")
    predict.add_argument(
        "--dicom-dir", type=Path, help="write one overlay per answer here as DICOM, with a new header without a patient"
    )
    predict.add_argument("--csv", type=Path, metavar="FILE", help="write a table here, one line per file")
    add_json(predict)


def _add_serve(commands):
    serve = add_command(commands, "serve", _serve, f"Answer other programs over HTTP. {NOTICE}")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this computer alone)")
    serve.add_argument("--port", type=int, default=8600)
    serve.add_argument(
        "--model", type=Path, default=SHIPPED_MODEL_DIR, help="model or run folder (default: the shipped one)"
    )
    serve.add_argument(
        "--token-file", type=Path, metavar="FILE",
        help="holds the token that clients must send (default: what CXR_LAB_TOKEN says, else none)",
    )  # fmt: skip
