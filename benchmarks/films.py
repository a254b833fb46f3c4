"""What do decoding, answer, map and overlay of full-size films cost, and which exact decoder is the fastest?

Films are drawn: radiographs, or phantoms, enlarged to 2520 × 2048 pixels of 12 bits, with grain. Each figure is the
lower quartile of processor time, and the formats take turns. Batches are timed by the clock.
"""

import argparse
import io
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import quantiles

import cv2
import imagecodecs
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLosslessSV1, SecondaryCaptureImageStorage

from benchmarks.reporting import four_digits, judge_target, print_table, write_result
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.phantoms import draw_phantom
from cxr_core.imaging.display import png_bytes
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.imaging.reader import open_image, read_image
from cxr_core.inference.batch_prediction import predict_batch
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.image_sources import path_sources
from cxr_core.inference.prediction_rows import rows_csv
from cxr_core.inference.selective_prediction import answer_upload, look_at

ROWS, COLUMNS, GRAIN, JPEG_QUALITY = 2520, 2048, 6, 92
_SMALL = 512
ARTICLE = Preprocessing()


def draw_film(drawing, seed):
    """Return a film, uint16 (ROWS, COLUMNS) of 12 bits, from a grey image, uint8 (H, W)."""
    large = cv2.resize(drawing.astype(np.float32), (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(seed).normal(0, GRAIN, large.shape)
    return np.clip(large * 14 + 200 + grain, 0, 4095).round().astype(np.uint16)


def film_files(film):
    """Return the bytes of a film in each format, by name."""
    eight = (film >> 4).astype(np.uint8)
    jpeg_2000 = imagecodecs.jpeg2k_encode(film, level=0, codecformat="J2K", bitspersample=12)
    lossless = imagecodecs.jpeg8_encode(film, lossless=True, predictor=1, bitspersample=16)
    return {
        "8-bit JPEG": cv2.imencode(".jpg", eight, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes(),
        "8-bit PNG": cv2.imencode(".png", eight)[1].tobytes(),
        "16-bit PNG": cv2.imencode(".png", film)[1].tobytes(),
        "DICOM, raw": dicom_bytes(film, ExplicitVRLittleEndian, film.tobytes()),
        "DICOM, JPEG 2000": dicom_bytes(film, JPEG2000Lossless, encapsulate([jpeg_2000])),
        "DICOM, JPEG lossless": dicom_bytes(film, JPEGLosslessSV1, encapsulate([lossless])),
    }


def dicom_bytes(film, syntax, pixel_data):
    """Return a DICOM file of 12 bits."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = syntax
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    header.Rows, header.Columns = film.shape
    header.SamplesPerPixel, header.PhotometricInterpretation, header.PixelRepresentation = 1, "MONOCHROME2", 0
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
    header.PixelData = pixel_data
    header["PixelData"].VR = "OW"
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, header, enforce_file_format=True)
    return stream.getvalue()


def cpu_by_turns(tasks, calls):
    """Return {name: [milliseconds of processor time, ...]} of functions without arguments, which take turns."""
    taken = {name: [] for name in tasks}
    for number in range(calls + 1):
        for name, task in tasks.items():
            start = time.process_time()
            task()
            if number:  # the first call warms up
                taken[name].append(1000 * (time.process_time() - start))
    return taken


def quartiles(values):
    """Return lower quartile and upper quartile of a list of numbers."""
    low, _, high = quantiles(values, n=4)
    return {"low": four_digits(low), "high": four_digits(high)}


def measure_steps(files, classifier, calls):
    """Return {format: {step: quartiles in milliseconds}}."""
    steps = {}
    for name, data in files.items():
        opened = open_image(data)
        answer = answer_upload(classifier, data)
        label = answer.prediction.label

        def article(pixels=opened.pixels):
            classifier.predict_with_maps(ARTICLE.image_u8(pixels)[None])

        steps[name] = {
            "decode": lambda data=data: open_image(data),
            "class and map": lambda opened=opened: classifier.predict_opened(opened),
            "class and map, without CLAHE": article,
            "gate, lungs, notes": lambda opened=opened: look_at(opened.pixels),
            "overlay as PNG": lambda answer=answer, label=label: png_bytes(answer.overlay(classifier, label)),
        }
    taken = cpu_by_turns({(n, s): task for n, tasks in steps.items() for s, task in tasks.items()}, calls)
    return {name: {step: quartiles(taken[name, step]) for step in tasks} for name, tasks in steps.items()}


def measure_decoders(films, calls):
    """Return {format: {decoder: {exact, quartiles in milliseconds}}}; exact is the pixels that OpenCV or all give."""

    def opencv(data):
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)

    def pillow(data):
        return np.asarray(Image.open(io.BytesIO(data)))

    decoders = {
        "8-bit JPEG": {"OpenCV": opencv, "imagecodecs": imagecodecs.jpeg8_decode, "Pillow": pillow},
        "8-bit PNG": {
            "OpenCV": opencv, "imagecodecs": imagecodecs.png_decode, "libspng": imagecodecs.spng_decode,
            "Pillow": pillow,
        },
        "16-bit PNG": {"OpenCV": opencv, "imagecodecs": imagecodecs.png_decode, "Pillow": pillow},
        "JPEG 2000": {"imagecodecs": imagecodecs.jpeg2k_decode, "OpenCV": opencv, "Pillow": pillow},
        "JPEG lossless": {
            "imagecodecs, libjpeg-turbo": imagecodecs.jpeg8_decode,
            "imagecodecs, liblj92": imagecodecs.ljpeg_decode,
            "imagecodecs, jpegsof3": imagecodecs.jpegsof3_decode,
        },
    }  # fmt: skip
    result = {}
    for name, sides in decoders.items():
        data, wanted = films[name]
        taken = cpu_by_turns({side: partial(decode, data) for side, decode in sides.items()}, calls)
        for side, decode in sides.items():
            decoded = decode(data)
            exact = decoded.shape == wanted.shape and bool(np.array_equal(decoded, wanted))
            result.setdefault(name, {})[side] = {"exact": exact, "ms": quartiles(taken[side])}
    return result


def decoder_films(film, files):
    """Return {format: (bytes, the pixels that they hold)}."""
    eight = (film >> 4).astype(np.uint8)
    return {
        # What a lossy file holds is what the decoder of all others says.
        "8-bit JPEG": (files["8-bit JPEG"], np.asarray(Image.open(io.BytesIO(files["8-bit JPEG"])))),
        "8-bit PNG": (files["8-bit PNG"], eight),
        "16-bit PNG": (files["16-bit PNG"], film),
        "JPEG 2000": (imagecodecs.jpeg2k_encode(film, level=0, codecformat="J2K", bitspersample=12), film),
        "JPEG lossless": (
            imagecodecs.jpeg8_encode(film, lossless=True, predictor=1, bitspersample=16), film,
        ),
    }  # fmt: skip


def measure_batch(classifier, contents, count):
    """Answer `count` files, write their overlays and a table; return scans per second, by the clock."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            (Path(folder) / f"{number:04d}").write_bytes(contents[number % len(contents)])
        sources = [source for path in sorted(Path(folder).iterdir()) for source in path_sources(path)]

        def keep(number, answer):
            overlay = png_bytes(answer.overlay(classifier, answer.prediction.label))
            (Path(folder) / f"{number:04d}.png").write_bytes(overlay)

        start = time.perf_counter()
        items = predict_batch(classifier, sources, keep=keep)
        (Path(folder) / "table.csv").write_text(rows_csv([item.row for item in items], classifier.classes))
        return four_digits(count / (time.perf_counter() - start))


def clahe_behind_resize(films, preprocessing):
    """Return the greatest difference in grey levels, by film, if CLAHE ran on the small image instead of the film."""
    moved = []
    for film in films:
        balanced = Preprocessing(clahe="off", interpolation="area").image_u8(film)
        tiles = (preprocessing.clahe_tiles, preprocessing.clahe_tiles)
        small = cv2.createCLAHE(preprocessing.clahe_clip_limit, tiles).apply(balanced)
        moved.append(int(cv2.absdiff(small, preprocessing.image_u8(film)).max()))
    return moved


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.films", description=__doc__.splitlines()[0])
    parser.add_argument("files", metavar="FILE", nargs="*", type=Path, help="radiographs (default: a drawn phantom)")
    parser.add_argument("--calls", type=int, default=9, help="calls of each step (default: 9)")
    parser.add_argument("--batch", type=int, default=500, help="files of a batch (default: 500; 0 for none)")
    options = parser.parse_args()
    missing = [path for path in options.files if not path.is_file()]
    if missing:
        raise SystemExit(f"Error: there is no file {missing[0]}; give radiographs, or none for a drawn one.")
    drawings = [read_image(path) for path in options.files] or [draw_phantom("normal", np.random.default_rng(0))]
    drawings = [image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in drawings]
    films = [draw_film(image, seed) for seed, image in enumerate(drawings)]
    classifier, files = load_classifier(SHIPPED_MODEL_DIR), film_files(films[0])
    steps = measure_steps(files, classifier, options.calls)
    names = list(next(iter(steps.values())))
    print_table(("ms of processor time", *names), [(n, *(s[k]["low"] for k in names)) for n, s in steps.items()])
    decoders = measure_decoders(decoder_films(films[0], files), options.calls)
    rows = [
        (n, d, f["ms"]["low"], "exact" if f["exact"] else "NOT EXACT")
        for n, s in decoders.items()
        for d, f in s.items()
    ]
    print_table(("format", "decoder", "ms", ""), rows)
    moved = clahe_behind_resize(films, classifier.card.preprocessing)
    print(f"CLAHE behind the resize would change up to {max(moved)} of 255 grey levels.")
    targets = [
        judge_target(f"{name}, class and map beyond decoding, ms", s["class and map"]["low"], below=15)
        for name, s in steps.items()
    ]
    rates = {}
    if options.batch:
        small = [cv2.imencode(".png", cv2.resize(image, (_SMALL, _SMALL)))[1].tobytes() for image in drawings]
        kinds = {"512 px": (small, 80), "full-size, mixed formats": (list(files.values()), 20)}
        for name, (contents, least) in kinds.items():
            rates[name] = measure_batch(classifier, contents, options.batch)
            targets.append(judge_target(f"{name}, overlays written, scans/s", rates[name], at_least=least))
    for target in targets:
        print(target)
    result = {"milliseconds": steps, "decoders": decoders, "clahe_behind_resize": moved, "targets": targets}
    write_result("films", result | {"scans_per_second": rates, "batch": options.batch})


if __name__ == "__main__":
    main()
