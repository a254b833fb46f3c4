"""Do Grad-CAM maps say more where they lie in the place that the network looked at? Before and after, side by side."""

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.reporting import four_digits, write_result
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.prepared_images import prepare_images
from cxr_core.explain.overlay import overlay_map
from cxr_core.imaging.lung_segmentation import lung_region
from cxr_core.inference.classifier import load_classifier
from cxr_core.robustness.saliency_checks import attention_in_lungs, check_maps


def main():
    """Compare the maps on the even grid with those in their place, and draw one image with both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("--images", type=int, default=150, help="of which the share in the lungs is measured")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw an image of DIR with both maps")
    options = parser.parse_args()
    placed = load_classifier(SHIPPED_MODEL_DIR)
    on_grid = replace(placed, card=replace(placed.card, map_offsets={}))
    table = scan_dataset(options.folder).table
    rows = np.sort(np.random.default_rng(0).permutation(len(table))[: options.images])
    prepared = prepare_images(table.iloc[rows].reset_index(drop=True), placed.card.preprocessing)
    images = np.array(prepared.images_u8)
    regions = [lung_region(image) for image in images]
    result = {"offset_pixels": four_digits(placed.card.map_offsets[placed.card.map_layers[0]][0] * images.shape[1])}
    for name, classifier in (("on the grid", on_grid), ("in their place", placed)):
        checks = check_maps(classifier, images)
        shares = attention_in_lungs(classifier, images, regions, prepared.table["class_name"].tolist())
        result[name] = {
            "deletion": four_digits(checks["deletion"]["map_area"]),
            "insertion": four_digits(checks["insertion"]["map_area"]),
            "share_in_lungs": {row["class_name"]: four_digits(row["share"]) for row in shares},
        }
        print(name, result[name])
    write_result("map_alignment", result | {"images": len(images)})
    if options.picture:
        pair = [_overlay(classifier, images[0]) for classifier in (on_grid, placed)]
        cv2.imwrite(str(options.picture), cv2.cvtColor(np.hstack(pair), cv2.COLOR_RGB2BGR))


def _overlay(classifier, image_u8):
    probabilities, maps = classifier.predict_with_maps(image_u8[None])
    map_ = classifier.map_on_image(maps[0][probabilities[0].argmax()], image_u8.shape)
    return overlay_map(image_u8, map_)


if __name__ == "__main__":
    main()
