"""Over which point of a plotly figure does the mouse hover, or which is tapped? Streamlit itself reports selections."""

import streamlit as st

_REST_MILLISECONDS = 80
_JS = """
export default function ({ data, setStateValue }) {
  let plot = null, waiting = null, last = null
  const rest = (event) => {
    clearTimeout(waiting)
    const row = event.points[0].customdata
    waiting = setTimeout(() => { if (row !== last) { last = row; setStateValue("row", row) } }, data.rest)
  }
  // The figure may appear later than this code, and again whenever the page redraws it.
  const look = setInterval(() => {
    const found = document.querySelector(`.st-key-${data.key} .js-plotly-plot`)
    if (found && found !== plot && found.on) {
      plot = found
      // A finger hovers over nothing; its tap is a click.
      for (const name of ["plotly_hover", "plotly_click"]) plot.on(name, rest)
      // The mouse may hover over a point already.
      if (plot._hoverdata && plot._hoverdata.length) rest({ points: plot._hoverdata })
    }
  }, 300)
  return () => {
    clearInterval(look)
    clearTimeout(waiting)
    for (const name of ["plotly_hover", "plotly_click"]) plot?.removeListener?.(name, rest)
  }
}
"""
_watch = st.components.v2.component("cxr_lab.hover", js=_JS)


def hovered_row(key: str) -> int | None:
    """Return the `customdata` of the point that was hovered over or tapped last, or None; call it inside a fragment.

    Args:
        key: of a `st.plotly_chart` on the same page whose points carry one whole number each as `customdata`.
    """
    return _watch(key=f"hover_{key}", data={"key": key, "rest": _REST_MILLISECONDS}, on_row_change=lambda: None).row
