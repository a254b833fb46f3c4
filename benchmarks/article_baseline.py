"""The article's way of answering one image, as plain steps: the side every figure is compared with.

`python -m benchmarks.article_baseline --model FOLDER FILE` is its fresh process: load, prepare, predict.
"""

import argparse
import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np

SIZE = 224
MAP_LAYER = "block_16_depthwise"
ALPHA = 0.4


def balance_channel(channel, percent=0.05):
    """Stretch a uint8 (H, W) channel between two percentiles, each found by sorting the pixels."""
    low, high = np.percentile(channel, percent), np.percentile(channel, 100.0 - percent)
    return np.uint8(np.clip((channel - low) * 255.0 / (high - low), 0, 255))


def prepare_file(path):
    """Read and prepare one file.

    Returns:
        uint8 (224, 224, 3), three equal channels.

    Raises:
        ValueError: OpenCV cannot read the file.
    """
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f"The article's way reads what OpenCV reads; it cannot read a {Path(path).suffix} file.")
    balanced = np.dstack([balance_channel(channel) for channel in cv2.split(image)])
    grey = cv2.cvtColor(balanced, cv2.COLOR_BGR2GRAY)
    return cv2.resize(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), (SIZE, SIZE))


@cache
def load_model(folder):
    """Load `model.keras` of a model folder, once per process.

    Every layer is made trainable, as in the article: its gradient tape finds nothing behind frozen layers.

    Returns:
        keras.Model.
    """
    import tensorflow as tf

    model = tf.keras.models.load_model(Path(folder) / "model.keras", compile=False)
    model.trainable = True
    return model


@cache
def _scaling(folder):
    return json.loads((Path(folder) / "card.json").read_text(encoding="utf-8"))["preprocessing"]["scaling"]


def model_input(path, folder):
    """Return float32 (1, 224, 224, 3) of one file: divided by 255, as in the article.

    Weights trained on -1..1, as their card says, get that range, so that both sides give one answer.
    """
    image = np.expand_dims(prepare_file(path), axis=0).astype("float32") / 255
    return image * 2 - 1 if _scaling(folder) == "-1..1" else image


def predict_file(path, folder):
    """Return float32 (C,) probabilities of one file."""
    return load_model(folder).predict(model_input(path, folder), verbose=0)[0]


def explain_image(image, model):
    """Make the Grad-CAM map of the likeliest class.

    Args:
        image: float32 (1, 224, 224, 3), as `model_input` gives.
        model: keras.Model, flat; a second model around it is made on each call.

    Returns:
        float32 (7, 7) in [0, 1].
    """
    import tensorflow as tf

    both = tf.keras.models.Model(model.input, [model.get_layer(MAP_LAYER).output, model.output])
    with tf.GradientTape() as tape:
        activations, probabilities = both(image)
        score = probabilities[:, tf.argmax(probabilities[0])]
    weights = tf.reduce_mean(tape.gradient(score, activations), axis=(0, 1, 2))
    map_ = tf.squeeze(activations[0] @ weights[..., tf.newaxis])
    return (tf.maximum(map_, 0) / tf.reduce_max(map_)).numpy()


def save_overlay(path, map_, overlay_path):
    """Read the original once more, add 0.4 of the map in jet's colours, and save it."""
    import tensorflow as tf

    image_tools = tf.keras.preprocessing.image
    original = image_tools.img_to_array(image_tools.load_img(path))
    jet = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_JET)[:, 0, ::-1]
    colours = image_tools.array_to_img(jet[np.uint8(255 * np.nan_to_num(map_))])
    colours = image_tools.img_to_array(colours.resize((original.shape[1], original.shape[0])))
    image_tools.array_to_img(colours * ALPHA + original).save(overlay_path)


def explain_upload(data, upload_path, folder):
    """Keep one upload as a file, predict, and explain the likeliest class.

    Args:
        data: bytes of the image.
        upload_path: Path to keep it at.
        folder: model folder.

    Returns:
        (probabilities, map): float32 (C,) and float32 (7, 7) in [0, 1].
    """
    upload_path.write_bytes(data)
    image = model_input(upload_path, folder)
    model = load_model(folder)
    return model.predict(image, verbose=0)[0], explain_image(image, model)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="folder with model.keras and card.json")
    options = parser.parse_args()
    print(json.dumps(predict_file(options.file, options.model).tolist()))
