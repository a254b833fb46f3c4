"""Which probabilities, features and Grad-CAM maps does the network give? ONNX Runtime computes them, not TensorFlow."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import onnxruntime

from cxr_core.explain.cam_methods import find_cam_method
from cxr_core.explain.overlay import scale_maps
from cxr_core.imaging.reader import DecodedImage, open_image
from cxr_core.inference.input_gate import Gate, load_gate
from cxr_core.inference.model_card import Card, load_card
from cxr_core.inference.temperature_scaling import apply_temperature
from cxr_core.system.arrays import FloatArray, ImageArray, UInt8Array
from cxr_core.system.files import file_stamp
from cxr_core.system.onnx_session import open_session, run_graph
from cxr_core.system.progress import Progress


@dataclass(frozen=True)
class Prediction:
    """What a classifier computes from one image.

    Attributes:
        classes: the C class names.
        probabilities: float32 (C,), summing to one.
        maps: float32 (C, h, w) in [0, 1], where it looked for each class.
        image: the decoded image, uint8 or uint16, (H, W) or (H, W, 3) BGR.
        image_u8: uint8 (size, size), the prepared image that the network was given.
        features: float32 (F,), the input of the classification head.
        notes: sentences on the image, as in `reader.DecodedImage`.
        doubts: reasons to abstain, as in `reader.DecodedImage`.
        map_method: one of `cam_methods.CAM_METHODS`, how the maps were computed.
        map_layer: the layer that they were computed from; None for the classifier's first.
    """

    classes: tuple[str, ...]
    probabilities: FloatArray
    maps: FloatArray
    image: ImageArray
    image_u8: UInt8Array
    features: FloatArray
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    map_method: str = "Grad-CAM"
    map_layer: str | None = None

    @property
    def label(self) -> str:
        """The class with the highest probability."""
        return self.classes[int(self.probabilities.argmax())]


@dataclass(frozen=True)
class Classifier:
    """An opened model folder. Immutable and safe to share between threads.

    Attributes:
        card: what the classifier knows of itself.
        session: its opened graph.
        path: file of the graph; None if it was not opened from a folder.
        gate: refuses images that are no frontal chest radiographs; None if none was fitted for the model.
    """

    card: Card
    session: onnxruntime.InferenceSession
    path: Path | None = None
    gate: Gate | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Class folder names in the order of the probabilities."""
        return self.card.classes

    def digest(self) -> str:
        """Return the first 16 digits of the SHA-256 of its graph, which identify the weights whatever their name.

        Raises:
            ValueError: the classifier was not opened from a folder.
        """
        return hashlib.sha256(self._graph_file().read_bytes()).hexdigest()[:16]

    def predict(self, images_u8: UInt8Array, *, progress: Progress | None = None) -> FloatArray:
        """Classify prepared images.

        Args:
            images_u8: uint8 (N, size, size), prepared with the card's preprocessing.
            progress: called after each batch, in images.

        Returns:
            float32 (N, C) probabilities, at the card's temperature.
        """
        return self._calibrated(self._run(["probabilities"], images_u8, progress)[0])

    def predict_with_features(
        self, images_u8: UInt8Array, *, progress: Progress | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Return (probabilities, features) of prepared images, as `predict` and `features`, from one pass."""
        probabilities, features = self._run(["probabilities", "features"], images_u8, progress)
        return self._calibrated(probabilities), features

    def predict_with_maps(
        self, images_u8: UInt8Array, layer: str | None = None, *, progress: Progress | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Return (probabilities, maps) of prepared images, as `predict` and `maps`, from one pass."""
        probabilities, maps = self._run(["probabilities", self._map_output(layer)], images_u8, progress)
        return self._calibrated(probabilities), scale_maps(maps)

    def features(self, images_u8: UInt8Array, *, progress: Progress | None = None) -> FloatArray:
        """Return float32 (N, F), the input of the classification head."""
        return self._run(["features"], images_u8, progress)[0]

    def maps(self, images_u8: UInt8Array, layer: str | None = None) -> FloatArray:
        """Compute the Grad-CAM map of every class.

        Args:
            images_u8: uint8 (N, size, size).
            layer: one of `card.map_layers`, the first by default.

        Returns:
            float32 (N, C, h, w) in [0, 1].

        Raises:
            ValueError: the graph computes no maps from that layer.
        """
        return scale_maps(self._run([self._map_output(layer)], images_u8, None)[0])

    def predict_image(
        self, data: bytes, layer: str | None = None, method: str = "Grad-CAM", *, progress: Progress | None = None
    ) -> Prediction:
        """Classify an image file.

        Args:
            data: contents of the file.
            layer: as for `maps`.
            method: one of `cam_methods.CAM_METHODS`. Grad-CAM costs next to nothing, Grad-CAM++ one more pass, and
                Score-CAM one per channel of the layer: seconds.
            progress: called over the passes of a slow method.

        Raises:
            reader.UnreadableImage: the file is not an image, too large or broken.
            overlay.MapUnavailable: this layer or graph does not support the method; the sentence says why.
            ValueError: there is no such layer or method.
        """
        return self.predict_opened(open_image(data), layer, method, progress=progress)

    def predict_opened(
        self,
        opened: DecodedImage,
        layer: str | None = None,
        method: str = "Grad-CAM",
        *,
        progress: Progress | None = None,
    ) -> Prediction:
        """Classify a decoded image; for the rest see `predict_image`."""
        image_u8 = self.card.preprocessing.image_u8(opened.pixels)
        outputs = ["probabilities", "features", self._map_output(layer)]
        probabilities, features, maps = self._run(outputs, image_u8[None], None)
        maps = scale_maps(maps)[0]
        if find_cam_method(method).maps is not None:
            maps = self.further_maps(image_u8, layer, method, progress=progress)
        return Prediction(
            self.classes,
            self._calibrated(probabilities)[0],
            maps,
            opened.pixels,
            image_u8,
            features[0],
            opened.notes,
            opened.doubts,
            map_method=method,
            map_layer=layer,
        )

    def map_on_image(self, map_: FloatArray, image_shape: tuple[int, ...], layer: str | None = None) -> FloatArray:
        """Bring a map to the place and size of the image that it was computed from.

        Args:
            map_: float32 (h, w), as this classifier computes it.
            image_shape: (H, W, ...), of the decoded image, at any size; or of the prepared one.
            layer: that the map was computed from, the first of `card.map_layers` by default.

        Returns:
            float32 (H, W): each value where in the image the cell looked.
        """
        return self.card.preprocessing.map_on_image(map_, image_shape, self.card.map_offset(layer))

    def further_maps(
        self, image_u8: UInt8Array, layer: str | None, method: str, *, progress: Progress | None = None
    ) -> FloatArray:
        """Compute the maps of one prepared image by any method.

        Args:
            image_u8: uint8 (size, size).
            layer: as for `maps`.
            method: as for `predict_image`.
            progress: as for `predict_image`.

        Returns:
            float32 (C, h, w) in [0, 1].

        Raises:
            overlay.MapUnavailable: as for `predict_image`.
            ValueError: likewise.
        """
        compute = find_cam_method(method).maps
        if compute is None:
            return self.maps(image_u8[None], layer)[0]
        # Late, since it needs the package onnx.
        from cxr_core.explain.intermediate_tensors import open_intermediate_tensors

        graph = self._graph_file()
        tensors = open_intermediate_tensors(graph, layer or self.card.map_layers[0], file_stamp(graph))
        tensors = replace(tensors, offset=self.card.map_offset(layer))
        return compute(tensors, image_u8, self.card.preprocessing, progress=progress)

    def _graph_file(self) -> Path:
        if self.path is None:
            raise ValueError("This needs a classifier that was opened from a folder.")
        return self.path

    def _calibrated(self, probabilities: FloatArray) -> FloatArray:
        return apply_temperature(probabilities, self.card.temperature)

    def _map_output(self, layer: str | None) -> str:
        layer = layer or self.card.map_layers[0]
        if layer not in self.card.map_layers:
            raise ValueError(f"layer must be one of {', '.join(self.card.map_layers)}; received {layer!r}.")
        return f"maps_{layer}"

    def _run(self, outputs: list[str], images_u8: UInt8Array, progress: Progress | None) -> list[FloatArray]:
        return run_graph(self.session, outputs, images_u8, self.card.preprocessing.scaled, progress=progress)


def load_classifier(folder: str | Path, *, for_many: bool = False) -> Classifier:
    """Open a model folder: a run's, or one in `models/`. Never one that a visitor uploaded.

    Args:
        folder: holds `card.json` and `model.onnx`, and the gate's files if it has one.
        for_many: as for `onnx_session.open_session`; the answers are the same.

    Raises:
        FileNotFoundError: `card.json` or `model.onnx` is missing.
        ValueError: the card, the graph or the gate cannot be read.

    Example:
        >>> from cxr_core import SHIPPED_MODEL_DIR, load_classifier
        >>> load_classifier(SHIPPED_MODEL_DIR).classes
        ('normal', 'covid', 'virus', 'other')
    """
    card = load_card(folder)
    path = Path(folder) / "model.onnx"
    session = open_session(path, for_many=for_many)
    if not _fits(session, card):
        raise ValueError(f"model.onnx of {path.parent.name} is not the graph that its card.json describes.")
    return Classifier(card, session, path, load_gate(folder))


def _fits(session: onnxruntime.InferenceSession, card: Card) -> bool:
    """Return True if a graph takes images of the card's size, and gives out its classes and maps."""
    sides = {image.name: image.shape[1] for image in session.get_inputs()}
    outputs = {output.name: output.shape for output in session.get_outputs()}
    maps = {f"maps_{layer}" for layer in card.map_layers}
    return (
        sides.get("image") == card.preprocessing.size
        and maps <= outputs.keys()
        and outputs.get("probabilities", [None])[-1] == len(card.classes)
    )
