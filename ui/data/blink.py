"""How are two images compared in one place? In turns, by hand or, once somebody starts it, by themselves."""

import streamlit as st

from cxr_core.imaging.display import data_url, png_bytes
from cxr_core.system.arrays import UInt8Array

_HTML = """
<div class="cxr-blink">
  <div class="cxr-pair"><img><img></div>
  <p aria-live="polite"></p>
  <button type="button" name="turn">Show the other</button>
  <button type="button" name="blink" aria-pressed="false">Blink</button>
</div>
"""
_CSS = """
.cxr-blink { font-family: var(--st-font); color: var(--st-text-color); font-size: 0.875rem; }
.cxr-pair { position: relative; width: fit-content; margin: 0 auto; background: #000; }
.cxr-pair img { display: block; max-width: 100%; max-height: 65vh; }
.cxr-pair img + img { position: absolute; inset: 0; width: 100%; height: 100%; visibility: hidden; }
.cxr-pair.second img + img { visibility: visible; }
.cxr-blink button { font: inherit; color: inherit; background: none; border: 1px solid var(--st-border-color);
  border-radius: 0.5rem; padding: 0.25rem 0.75rem; cursor: pointer; margin-right: 0.5rem; }
.cxr-blink button[aria-pressed=true] { border-color: var(--st-primary-color); color: var(--st-primary-color); }
"""
# At two changes a second nothing flashes in the sense of WCAG 2.3.1.
_JS = """
export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".cxr-blink"), pair = root.querySelector(".cxr-pair")
  const [turn, blink] = ["turn", "blink"].map((name) => root.querySelector(`[name=${name}]`))
  pair.querySelectorAll("img").forEach((img, i) => { img.src = data.sources[i]; img.alt = data.names[i] })
  const words = () => { root.querySelector("p").textContent = data.names[pair.classList.contains("second") ? 1 : 0] }
  const other = () => { pair.classList.toggle("second"); words() }
  let timer = null
  const stop = () => { clearInterval(timer); timer = null; blink.setAttribute("aria-pressed", "false") }
  turn.onclick = () => { stop(); other() }
  blink.onclick = () => {
    if (timer) return stop()
    timer = setInterval(other, 500)
    blink.setAttribute("aria-pressed", "true")
  }
  words()
  return stop
}
"""
_blink = st.components.v2.component("cxr_lab.blink", html=_HTML, css=_CSS, js=_JS)


def blink_images(first_u8: UInt8Array, second_u8: UInt8Array, names: tuple[str, str], key: str) -> None:
    """Show two images in one place, to be looked at in turns.

    Args:
        first_u8: uint8 (H, W).
        second_u8: uint8 (H, W).
        names: what the images are called.
        key: unique in the app.
    """
    sources = [data_url("png", png_bytes(image)) for image in (first_u8, second_u8)]
    _blink(key=key, data={"sources": sources, "names": list(names)})
