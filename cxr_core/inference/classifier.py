"""A trained classifier without TensorFlow: probabilities and Grad-CAM maps from ONNX Runtime."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from cxr_core.explain.overlay import MAP_METHODS, scale_maps
from cxr_core.imaging.reader import open_image
from cxr_core.inference.input_gate import Gate, load_gate
from cxr_core.inference.model_card import Card, load_card
from cxr_core.inference.temperature_scaling import apply_temperature
from cxr_core.system.onnx_session import open_session, run_graph


@dataclass(frozen=True)
class Prediction:
    """A classifier's answer to one image.

    Attributes:
        classes: tuple of str.
        probabilities: float32 (C,), summing to one.
        maps: float32 (C, h, w) in [0, 1], where it looked for every class.
        image: the decoded image, uint8 or uint16, (H, W) or (H, W, 3) BGR.
        image_u8: uint8 (size, size), what the classifier saw.
        features: float32 (F,), what entered the classifier's head.
        notes, doubts: tuples of sentences, as in `reader.DecodedImage`.
        map_method: str, one of `overlay.MAP_METHODS`, how the maps were made.
    """

    classes: tuple
    probabilities: np.ndarray
    maps: np.ndarray
    image: np.ndarray
    image_u8: np.ndarray
    features: np.ndarray
    notes: tuple = ()
    doubts: tuple = ()
    map_method: str = "Grad-CAM"

    @property
    def label(self):
        """The class with the highest probability."""
        return self.classes[int(self.probabilities.argmax())]


@dataclass(frozen=True)
class Classifier:
    """An opened model folder. Immutable and safe to share between threads.

    Attributes:
        card: model_card.Card.
        session: onnxruntime.InferenceSession of its graph.
        path: Path of the graph, or None where it was not opened from a folder.
        gate: input_gate.Gate, or None where none was fitted for the model.
    """

    card: Card
    session: onnxruntime.InferenceSession
    path: Path | None = None
    gate: Gate | None = None

    @property
    def classes(self):
        """Class folder names in the order of the probabilities."""
        return self.card.classes

    def digest(self):
        """Return the first 16 digits of the SHA-256 of its graph: which weights these are, whatever they are called."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]

    def predict(self, images_u8, *, progress=None):
        """Classify prepared images.

        Args:
            images_u8: uint8 (N, size, size), prepared with the card's preprocessing.
            progress: callable(done, total) or None.

        Returns:
            float32 (N, C) probabilities, at the card's temperature.
        """
        return self._calibrated(self._run(["probabilities"], images_u8, progress)[0])

    def predict_with_features(self, images_u8, *, progress=None):
        """Return (probabilities, features) of prepared images, as `predict` and `features`, from one pass."""
        probabilities, features = self._run(["probabilities", "features"], images_u8, progress)
        return self._calibrated(probabilities), features

    def predict_with_maps(self, images_u8, layer=None, *, progress=None):
        """Return (probabilities, maps) of prepared images, as `predict` and `maps`, from one pass."""
        probabilities, maps = self._run(["probabilities", self._map_output(layer)], images_u8, progress)
        return self._calibrated(probabilities), scale_maps(maps)

    def features(self, images_u8, *, progress=None):
        """Return float32 (N, F), the features that enter the classifier's head."""
        return self._run(["features"], images_u8, progress)[0]

    def maps(self, images_u8, layer=None):
        """Make Grad-CAM maps for every class.

        Args:
            images_u8: uint8 (N, size, size).
            layer: one of `card.map_layers`, the first by default.

        Returns:
            float32 (N, C, h, w) in [0, 1].

        Raises:
            ValueError: maps cannot be made from that layer.
        """
        return scale_maps(self._run([self._map_output(layer)], images_u8, None)[0])

    def predict_image(self, data, layer=None, method="Grad-CAM", *, progress=None):
        """Classify a whole image file.

        Args:
            data: bytes of the file.
            layer: as for `maps`.
            method: one of `overlay.MAP_METHODS`. Grad-CAM costs next to nothing, Grad-CAM++ one more pass, and
                Score-CAM one per channel of the layer: seconds.
            progress: callable(done, total) over the passes of Score-CAM, or None.

        Returns:
            Prediction.

        Raises:
            reader.UnreadableImage: the bytes are no image, too large or broken.
            overlay.MapUnavailable: the method cannot be had of this layer or graph; the sentence says why.
            ValueError: there is no such layer or method.
        """
        return self.predict_opened(open_image(data), layer, method, progress=progress)

    def predict_opened(self, opened, layer=None, method="Grad-CAM", *, progress=None):
        """Classify a reader.DecodedImage; for the rest see `predict_image`."""
        image_u8 = self.card.preprocessing.image_u8(opened.pixels)
        outputs = ["probabilities", "features", self._map_output(layer)]
        probabilities, features, maps = self._run(outputs, image_u8[None], None)
        maps = scale_maps(maps)[0]
        if method != "Grad-CAM":
            maps = self.further_maps(image_u8, layer, method, progress=progress)
        probabilities, said = self._calibrated(probabilities)[0], (opened.notes, opened.doubts)
        return Prediction(
            self.classes, probabilities, maps, opened.pixels, image_u8, features[0], *said, map_method=method
        )

    def further_maps(self, image_u8, layer, method, *, progress=None):
        """Make the maps of one prepared image by another method than Grad-CAM.

        Args:
            image_u8: uint8 (size, size).
            layer, method, progress: as for `predict_image`.

        Returns:
            float32 (C, h, w) in [0, 1].

        Raises:
            overlay.MapUnavailable, ValueError: as `predict_image`.
        """
        # Late, since only these two methods need the package onnx.
        from cxr_core.explain.grad_cam_plus_plus import plus_plus_maps
        from cxr_core.explain.intermediate_tensors import open_intermediate_tensors
        from cxr_core.explain.score_cam import score_maps

        if method not in MAP_METHODS:
            raise ValueError(f"method must be one of {', '.join(MAP_METHODS)}; received {method!r}.")
        inside = open_intermediate_tensors(self.path, layer or self.card.map_layers[0], self.path.stat().st_mtime_ns)
        if method == "Score-CAM":
            return score_maps(inside, image_u8, self.card.preprocessing, progress=progress)
        return plus_plus_maps(inside, image_u8[None], self.card.preprocessing)[0]

    def _calibrated(self, probabilities):
        return apply_temperature(probabilities, self.card.temperature)

    def _map_output(self, layer):
        layer = layer or self.card.map_layers[0]
        if layer not in self.card.map_layers:
            raise ValueError(f"layer must be one of {', '.join(self.card.map_layers)}; received {layer!r}.")
        return f"maps_{layer}"

    def _run(self, outputs, images_u8, progress):
        return run_graph(self.session, outputs, images_u8, self.card.preprocessing.scaled, progress=progress)


def load_classifier(folder):
    """Open a model folder: a run's, or one in `models/`. Never a visitor's.

    Args:
        folder: str or Path with `card.json` and `model.onnx`.

    Returns:
        Classifier.

    Raises:
        FileNotFoundError: one of the two files is missing.
        ValueError: the card or the gate is not understood.

    Example:
        >>> from cxr_core import SHIPPED_MODEL_DIR, load_classifier
        >>> load_classifier(SHIPPED_MODEL_DIR).classes
        ('normal', 'covid', 'virus')
    """
    card = load_card(folder)
    path = Path(folder) / "model.onnx"
    return Classifier(card, open_session(path), path, load_gate(folder))
