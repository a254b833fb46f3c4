"""How is the page built and written? As one HTML file that needs nothing else, and as Markdown with its images."""

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from cxr_core.config import NOTICE
from cxr_core.imaging.display import data_url
from cxr_core.reporting.rendering import render_template
from cxr_core.system.files import atomic_path, write_text

HTML_FILE, MARKDOWN_FILE, IMAGE_FOLDER = "article.html", "article.md", "images"
_KINDS = {"jpg": "jpeg", "svg": "svg+xml"}


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        header: one title per column.
        rows: as many texts each; all but the first column are numbers.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """An image of the page.

    Attributes:
        name: of its file, with the ending jpg or svg.
        caption: what it shows.
        data: contents of the file.
        is_small: several of them stand beside each other.
    """

    name: str
    caption: str
    data: bytes
    is_small: bool = False

    @property
    def uri(self) -> Markup:
        """The image as a data URI."""
        return Markup(data_url(_KINDS[self.name.rsplit(".", 1)[1]], self.data))


@dataclass(frozen=True)
class Section:
    """One of the article's sections.

    Attributes:
        title: as the article's.
        claim: what the article says; "" where it says nothing of this data set.
        differs: one sentence on where ours differs.
        tables: figures of ours, beside the article's.
        pictures: ours.
    """

    title: str
    claim: str
    differs: str
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Page:
    """The whole page.

    Attributes:
        title: of the page.
        summary: sentences on what was run and what came out.
        table: the main figures, claimed and reproduced.
        sections: the article's ten.
        comparison: the figures of further runs, such as other seeds; None without any.
        command: that makes the page again.
        comparison_note: stands below it.
        credits: whose images are shown, and under which terms; "" where nothing is known.
    """

    title: str
    summary: tuple[str, ...]
    table: Table
    sections: tuple[Section, ...]
    command: str
    comparison: Table | None = None
    comparison_note: str = ""
    credits: str = ""


def write_page(page: Page, folder: str | Path) -> list[Path]:
    """Write a page as `HTML_FILE` and `MARKDOWN_FILE`, with the images of the latter in `IMAGE_FOLDER`.

    Args:
        page: to be written.
        folder: made where missing.

    Returns:
        The two files.
    """
    folder = Path(folder)
    for picture in (picture for section in page.sections for picture in section.pictures):
        with atomic_path(folder / IMAGE_FOLDER / picture.name) as temporary:
            temporary.write_bytes(picture.data)
    paths = [folder / HTML_FILE, folder / MARKDOWN_FILE]
    for path in paths:
        write_text(path, render_page(page, path.suffix))
    return paths


def render_page(page: Page, ending: str) -> str:
    """Return a page as text, ".html" or ".md"; HTML fetches nothing."""
    facts = {"page": page, "notice": NOTICE, "images": IMAGE_FOLDER}
    return render_template(f"reproduction{ending}.j2", facts)
