"""training_look.py: how other images look beside the training images, in words."""

import pandas as pd

from cxr_core.evaluation.hospitals.training_look import LOOKS, compare_looks, quartiles


def test_a_median_outside_the_training_images_quartiles_has_a_word_and_one_inside_has_none():
    training = quartiles(pd.DataFrame({name: range(101) for name in LOOKS}))
    site = quartiles(pd.DataFrame(dict.fromkeys(LOOKS, [50]) | {"content_mean": [80], "side": [20], "sharpness": [75]}))
    words = {row["measure"]: row["words"] for row in compare_looks(site, training)}
    assert words == {
        "content_mean": "brighter", "content_std": "", "sharpness": "", "black_frame": "", "side": "smaller",
    }  # fmt: skip
