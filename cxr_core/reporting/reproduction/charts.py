"""How are curves drawn for a page that must stay small? As SVG: the script that draws Plotly's figures has 4.6 MB."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import numpy.typing as npt

_WIDTH, _HEIGHT = 520, 340
_LEFT, _TOP, _RIGHT, _BOTTOM = 56, 34, 14, 46
_TICKS = 5
_LEGEND_ROW = 17
_GREY = "#5b6b75"


@dataclass(frozen=True)
class Line:
    """A curve of a chart.

    Attributes:
        name: in the legend.
        x: float (N,).
        y: float (N,).
        colour: "#RRGGBB".
        dash: SVG's `stroke-dasharray`; "" for a whole line.
    """

    name: str
    x: npt.ArrayLike
    y: npt.ArrayLike
    colour: str
    dash: str = ""


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_title: str,
    y_title: str,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    mark: tuple[float, str] | None = None,
) -> str:
    """Draw curves, with a legend below them.

    Args:
        title: of the chart.
        lines: the curves; values outside the ranges are drawn at their ends.
        x_title: of the axis.
        y_title: of the axis.
        x_range: ends of the axis, which must differ.
        y_range: likewise.
        mark: place on the x axis of a dotted vertical line, and what it says.

    Returns:
        A whole SVG file.
    """
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def across(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return np.interp(np.asarray(values, float), x_range, (_LEFT, right))

    def down(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return np.interp(np.asarray(values, float), y_range, (bottom, _TOP))

    parts = [f'<text x="{_LEFT}" y="18" font-size="15" font-weight="600">{escape(title)}</text>']
    for value in _ticks(*y_range):
        y = down(value)
        parts.append(f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4eaee"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="{_GREY}">{value:g}</text>')
    for value in _ticks(*x_range):
        x = across(value)
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle" fill="{_GREY}">{value:g}</text>')
    parts.append(f'<text x="{(_LEFT + right) / 2}" y="{bottom + 35}" text-anchor="middle">{escape(x_title)}</text>')
    middle = (_TOP + bottom) / 2
    parts.append(f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{escape(y_title)}</text>')
    if mark is not None:
        x = across(mark[0])
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}" stroke="{_GREY}" stroke-dasharray="2 4"/>'
        )
        anchor = "end" if x > (_LEFT + right) / 2 else "start"
        side = -4 if anchor == "end" else 4
        parts.append(
            f'<text x="{x + side:.1f}" y="{bottom - 6}" text-anchor="{anchor}" fill="{_GREY}">{escape(mark[1])}</text>'
        )
    for number, line in enumerate(lines):
        places = zip(across(line.x), down(line.y), strict=True)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        stroke = f'stroke={quoteattr(line.colour)} stroke-width="2" stroke-dasharray={quoteattr(line.dash or "none")}'
        parts.append(f'<polyline points="{points}" fill="none" {stroke}/>')
        below = _HEIGHT + _LEGEND_ROW * number + 4
        parts.append(f'<line x1="{_LEFT}" x2="{_LEFT + 30}" y1="{below}" y2="{below}" {stroke}/>')
        parts.append(f'<text x="{_LEFT + 38}" y="{below + 4}">{escape(line.name)}</text>')
    height = _HEIGHT + _LEGEND_ROW * len(lines) + 6
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="#1b2730">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>'
    )


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers from one end of an axis to the other."""
    step = (high - low) / _TICKS
    magnitude = 10 ** np.floor(np.log10(step))
    step = magnitude * next(factor for factor in (1, 2, 5, 10) if factor * magnitude >= step * 0.999)
    first = np.ceil(low / step - 1e-9)
    # Zero is added so that -0 is none.
    return [float(np.round(step * n, 10)) + 0.0 for n in np.arange(first, high / step + 1e-9)]
