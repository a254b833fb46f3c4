"""How is an image looked at closely: zoom, pan, invert, window and level, at once and in the browser alone?"""

import numpy as np
import streamlit as st

from cxr_core.imaging.display import data_url, display_rgb, jpeg_bytes, png_bytes
from cxr_core.system.arrays import ImageArray, UInt8Array

_HTML = """
<div class="cxr-viewer">
  <svg width="0" height="0" aria-hidden="true"><filter id="cxr-window" color-interpolation-filters="sRGB">
    <feComponentTransfer><feFuncR type="linear"/><feFuncG type="linear"/><feFuncB type="linear"/></feComponentTransfer>
  </filter></svg>
  <div class="cxr-stage" tabindex="0" role="img" aria-label="The image at its full size">
    <img alt="" draggable="false">
  </div>
  <div class="cxr-controls">
    <label title="Centre of the grey range that is shown.">Level <output></output>
      <input type="range" name="level" min="0" max="100" value="50" aria-label="Level in %"></label>
    <label title="Width of the grey range that is shown: the narrower, the more contrast.">Window <output></output>
      <input type="range" name="width" min="1" max="100" value="100" aria-label="Window in %"></label>
    <label class="cxr-check" title="Swaps black and white on the screen only; the classifier sees the image as it is.">
      <input type="checkbox" name="invert"> Invert</label>
    <button type="button" title="Back to the whole image with its own grey values.">Reset</button>
  </div>
  <p></p>
</div>
"""

_CSS = """
.cxr-viewer svg { position: absolute; }
.cxr-viewer { font-family: var(--st-font); color: var(--st-text-color); font-size: 0.875rem; }
.cxr-controls { display: flex; flex-wrap: wrap; gap: 0.5rem 1.5rem; align-items: center; margin-top: 0.5rem; }
.cxr-controls label { flex: 1 1 150px; max-width: 380px; } .cxr-controls label.cxr-check { flex: 0 0 auto; }
.cxr-controls input[type=range] { display: block; width: 100%; }
.cxr-controls :is(input[type=range], .cxr-check, button) { min-height: 24px; }
.cxr-controls input { accent-color: var(--st-primary-color); }
.cxr-controls button { font: inherit; color: inherit; background: none; border: 1px solid var(--st-border-color);
  border-radius: 0.5rem; padding: 0.25rem 0.75rem; cursor: pointer; }
.cxr-controls button:hover { border-color: var(--st-primary-color); color: var(--st-primary-color); }
.cxr-stage { overflow: hidden; max-width: 100%; background: #000; cursor: grab; border-radius: 0.25rem; }
.cxr-stage:focus-visible { outline: 2px solid var(--st-primary-color); }
.cxr-stage img { display: block; width: 100%; height: 100%; transform-origin: 0 0; filter: url(#cxr-window);
  user-select: none; pointer-events: none; }
.cxr-viewer p { opacity: 0.65; margin: 0.4rem 0 0; }
"""

_JS = """
const TALLEST = 560, CLOSEST = 16
function make(root) {
  const stage = root.querySelector(".cxr-stage"), img = stage.querySelector("img"), words = root.querySelector("p")
  const [level, width, invert] = ["level", "width", "invert"].map((n) => root.querySelector(`[name=${n}]`))
  let size = { width: 1, height: 1 }, k = 1, x = 0, y = 0
  const fingers = new Map()

  const draw = () => {
    const w = stage.clientWidth, h = stage.clientHeight
    x = Math.min(0, Math.max(w - w * k, x)); y = Math.min(0, Math.max(h - h * k, y))
    img.style.transform = `translate(${x}px, ${y}px) scale(${k})`
    // Once they are larger than those of the screen, the pixels of the image are shown as squares.
    const shown = (w * k) / size.width
    img.style.imageRendering = shown > 2 ? "pixelated" : "auto"
    // Until the image is zoomed, a finger scrolls the page.
    stage.style.touchAction = k > 1 ? "none" : "pan-y"
    words.textContent = `${size.width} × ${size.height} pixels, shown at ${Math.round(100 * shown)} %. ` +
      "Zoom with the wheel, two fingers or + and −; move it by dragging or with the arrow keys."
  }
  const zoom = (factor, at) => {
    const next = Math.min(CLOSEST * Math.max(1, size.width / stage.clientWidth), Math.max(1, k * factor))
    x = at.x - (at.x - x) * (next / k); y = at.y - (at.y - y) * (next / k); k = next
    draw()
  }
  const inside = (event) => {
    const box = stage.getBoundingClientRect()
    return { x: event.clientX - box.left, y: event.clientY - box.top }
  }
  const tone = () => {
    const slope = 100 / width.value, start = 0.5 - (level.value / 100) * slope
    for (const part of root.querySelectorAll("feComponentTransfer > *")) {
      part.setAttribute("slope", invert.checked ? -slope : slope)
      part.setAttribute("intercept", invert.checked ? 1 - start : start)
    }
    for (const input of [level, width]) input.parentElement.querySelector("output").textContent = `${input.value} %`
  }
  const reset = () => { k = 1; x = y = 0; draw() }

  stage.addEventListener("wheel", (event) => {
    event.preventDefault()
    zoom(Math.exp(-event.deltaY / 400), inside(event))
  }, { passive: false })
  stage.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, inside(event)); stage.setPointerCapture(event.pointerId)
  })
  stage.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId)
    if (!before) return
    const now = inside(event)
    if (fingers.size === 1) { x += now.x - before.x; y += now.y - before.y; draw() }
    else if (fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1]
      const apart = (p) => Math.hypot(p.x - other.x, p.y - other.y)
      if (apart(before) > 0) zoom(apart(now) / apart(before), other)
    }
    fingers.set(event.pointerId, now)
  })
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (e) => fingers.delete(e.pointerId))
  stage.addEventListener("keydown", (event) => {
    const step = 40, moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }
    const middle = { x: stage.clientWidth / 2, y: stage.clientHeight / 2 }
    if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 1.25 : 0.8, middle)
    else if (moves[event.key]) { x += moves[event.key][0]; y += moves[event.key][1]; draw() }
    else return
    event.preventDefault()
  })
  for (const input of [level, width, invert]) input.addEventListener("input", tone)
  root.querySelector("button").addEventListener("click", () => {
    level.value = 50; width.value = 100; invert.checked = false
    tone(); reset()
  })
  new ResizeObserver(draw).observe(stage)
  tone()
  return (data) => {
    if (img.src === data.source) return
    const same = size.width === data.width && size.height === data.height
    size = data
    img.src = data.source
    if (same) return draw()
    stage.style.aspectRatio = `${size.width} / ${size.height}`
    stage.style.width = `${(TALLEST * size.width) / size.height}px`
    reset()
  }
}
export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".cxr-viewer")
  root.show ??= make(root)
  root.show(data)
}
"""
# The SVG filter is found by its id, which some browsers do not look up in a shadow tree.
_view = st.components.v2.component("cxr_lab.viewer", html=_HTML, css=_CSS, js=_JS, isolate_styles=False)


def view_image(image: ImageArray, key: str, *, drawn: UInt8Array | None = None) -> None:
    """Show an image at its full size, to zoom, pan, invert and window, none of which reruns the page.

    Args:
        image: uint8 or uint16, (H, W) or (H, W, 3) BGR, as `reader.decode_image` gives it.
        key: unique in the app.
        drawn: uint8 (h, w, 3) RGB, shown in the image's place where something is drawn over it; of any size. The zoom
            stays as it is.
    """
    if drawn is None:
        shown = display_rgb(image)
        # One channel is enough for a grey image.
        pixels = np.ascontiguousarray(shown[..., 0]) if image.ndim == 2 else shown
        source = data_url("png", png_bytes(pixels))
    else:
        source = data_url("jpeg", jpeg_bytes(drawn))
    _view(key=key, data={"source": source, "width": image.shape[1], "height": image.shape[0]})
