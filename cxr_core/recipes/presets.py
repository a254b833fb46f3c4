"""What quick, finetune, article and article-sound stand for."""

from typing import Any

from cxr_core.imaging.augmentation import Augmentation
from cxr_core.imaging.preprocessing import Preprocessing

# Fields of `training_config.TrainingConfig`; what a recipe leaves out is the article's.
RECIPES: dict[str, dict[str, Any]] = {
    "quick": {
        "epochs": 40,
        "batch_size": 64,
        "learning_rate": 5e-3,
        "head_units": (),
        "head_dropouts": (0.3,),
        "train_from": "head",
        "early_stopping_patience": 4,
        # Features of a frozen backbone tell more at a higher resolution: docs/experiments.md.
        "preprocessing": Preprocessing(size=320, scaling="-1..1"),
        "augmentation": Augmentation(rotation_degrees=0, horizontal_flip=False),
    },
    "finetune": {
        "epochs": 14,
        "batch_size": 32,
        "learning_rate": 5e-4,
        "head_units": (),
        "head_dropouts": (0.4,),
        "train_from": "block_6_expand",
        "cached_augmentations": 14,
        "label_smoothing": 0.05,
        "ema_momentum": 0.99,
        "batch_norm_momentum": 0.9,
        "class_weights": True,
        "schedule": "cosine",
        "preprocessing": Preprocessing(clahe="after", interpolation="area", scaling="-1..1"),
        "augmentation": Augmentation(
            p_image=0.85,
            p_transform=0.4,
            zoom=0.25,
            shift=0.08,
            frame=0.5,
            histogram_matching=1.0,
            spectrum_matching=1.0,
            brightness=0.1,
            contrast=0.25,
            gamma=0.5,
            blur=1.3,
            noise=8.0,
            text_overlay=0.3,
            jpeg_quality=25,
        ),
    },
    "article": {},
    # With Keras's momentum the running statistics lag behind the weights for a fifth of the article's training. What
    # else is unsound in the article is its split, which is another choice: grouped unless somebody asks for "article".
    "article-sound": {"batch_norm_momentum": 0.9},
}
RECIPE_NOTES = {
    "quick": "Frozen backbone; features computed once at 320 pixels; a small classifier on top. About a minute for "
    "2,000 images.",
    "finetune": "The later layers are trained, too, on augmented images. About ten minutes for 2,000 images.",
    "article": "All layers are trained for 50 epochs, as in the article. About an hour for 2,000 images on two cores.",
    "article-sound": "The article's recipe with one change, batch-norm momentum 0.9 instead of 0.999, so that "
    "validation follows training. Sound with the grouped split, whose validation and test images are apart.",
}
