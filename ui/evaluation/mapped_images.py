"""How are the images behind predictions shown, with what drove the answer, and where do they lie?"""

from pathlib import Path

import pandas as pd
import streamlit as st

from cxr_core.imaging.reader import UnreadableImage, read_header
from cxr_core.system.text import percent
from ui.common.markdown import Markdown, plain_label, plain_name, plain_text
from ui.common.thumbnails import image_with_map, known_teaching_images, prediction_caption


def image_paths(predictions: pd.DataFrame) -> pd.Series:
    """Return the path of each image that is on this computer, missing for others.

    The built-in classifier's own images are not, but for those of the teaching set, which are known by content.

    Args:
        predictions: a predictions table with `path` or `digest`.
    """
    if "path" in predictions:
        return predictions["path"].where(predictions["path"].map(lambda path: Path(path).exists()))
    held = {digest: str(image.path) for digest, image in known_teaching_images().items() if image.path.exists()}
    digests = predictions.get("digest", pd.Series(index=predictions.index, dtype=object))
    return digests.map(held).rename("path")


def show_with_maps(rows: pd.DataFrame, paths: pd.Series, folder: Path, key: str) -> None:
    """Show images with Grad-CAM of the predicted class, the probabilities, and what is known of the file.

    Args:
        rows: of a predictions table.
        paths: of its images, none missing.
        folder: of the classifier.
        key: unique on the page.
    """
    credits = {str(image.path): image.credit for image in known_teaching_images().values()}
    with st.container(horizontal=True, gap="small"):
        for (index, row), path in zip(rows.iterrows(), map(Path, paths), strict=True):
            with st.container(width=230, height="stretch", border=True, key=f"{key}_{index}"):
                image = image_with_map(folder, path, row["predicted"])
                if image is None:
                    st.caption("File not found.")
                else:
                    st.image(image, alt=f"Grad-CAM of {row['file']}", width="stretch")
                st.markdown(prediction_caption(row["predicted"], row["true"], row["confidence"]))
                classes = [name.removeprefix("p_") for name in rows.columns if name.startswith("p_")]
                st.caption("  \n".join(f"{plain_label(c)} {percent(row[f'p_{c}'])}" for c in classes))
                st.caption(_size(path) + plain_name(row["file"], 46))
    st.caption("Overlay: Grad-CAM of the predicted class (jet; red marks the strongest evidence).")
    shown = sorted({credits[path] for path in map(str, paths) if path in credits})
    if shown:
        st.caption(f"Images: {'; '.join(plain_name(credit, 200) for credit in shown)}.")


def _size(path: Path) -> Markdown:
    try:
        header = read_header(path.read_bytes())
    except (UnreadableImage, OSError):
        return ""
    return f"{header.width:d} × {header.height:d} {plain_text(header.format)}, "
