"""What does the lung network's card say, for a terminal and for people?"""

from typing import Any, TypedDict

from cxr_core.system.text import percent

_CONVENTION_WORDS = {"fields": "lung fields", "behind heart": "with the parts behind the heart"}


class LungScores(TypedDict):
    """How well masks agree with those drawn by people.

    Attributes:
        images: number of images with a mask.
        dice: mean over the images.
        worst: the 5th percentile.
        found: proportion of the images in which lungs were found.
    """

    images: int
    dice: float
    worst: float
    found: float


def lung_summary(card: dict[str, Any]) -> str:
    """Return a card's figures as a text for a terminal."""
    lines = [f"{card['training']['images']:,} images, masks: {card['training']['masks']}", f"limits: {card['limits']}"]
    for name, scores in {"held out": card["held_out"], **card["external"]}.items():
        lines += [
            f"{name}, {convention}: Dice {row['dice']:.4f} (5th percentile {row['worst']:.4f}) on {row['images']} "
            f"images; lungs found in {percent(row['found'])}"
            for convention, row in scores.items()
        ]
    return "\n".join(lines)


def card_figures(card: dict[str, Any]) -> str:
    """Return a card's figures as Markdown."""
    told, limits = card["training"], card["limits"]
    low, high = limits["aspect"]
    lines = [
        "## Figures\n",
        f"Trained on {told['images']:,} images, {sum(told['masks'].values())} of them with a mask. On "
        f"{limits['set_on']:,} images held out, its limits were set: log odds of a whole chest of at least "
        f"{limits['whole']:.2f}, and a box around the lungs {low:.2f} to {high:.2f} times as wide as high.\n",
        "| masks | images | Dice, mean | 5th percentile | lungs found |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, scores in {"held out": card["held_out"], **card["external"]}.items():
        lines += [
            f"| {name}: {_CONVENTION_WORDS[convention]} | {row['images']} | {row['dice']:.3f} | {row['worst']:.3f} "
            f"| {percent(row['found'])} |"
            for convention, row in scores.items()
        ]
    return "\n".join(lines) + "\n"
