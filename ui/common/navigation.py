"""Which pages are there, how does a visit begin, and which of its choices are kept from page to page?"""

import logging
from collections.abc import Collection, Hashable, Iterator
from contextlib import contextmanager
from typing import Literal

import streamlit as st
from starlette.formparsers import MultiPartParser
from streamlit.navigation.page import StreamlitPage

from cxr_core.jobs.visit_training import remove_visit_runs
from cxr_core.system.files import why_not_written
from cxr_core.system.memory import keep_memory_small, set_imports_aside
from cxr_core.system.processes import tie_to_parent
from cxr_core.system.visit_folders import remove_abandoned
from ui.common.markdown import plain_text
from ui.common.permissions import may_come_in, require_sign_in, show_who

_log = logging.getLogger(__name__)

keep_memory_small()
# Starlette, below Streamlit, writes an upload of more than 1 MB into a temporary file while it arrives. Here no upload
# is written to disk: the server ends a request one megabyte above the limit of an upload.
MultiPartParser.spool_max_size = (st.get_option("server.maxUploadSize") + 2) * 2**20

# Drawn here: Streamlit would fetch an icon that it knows by name from Google.
_ICON = (
    '<svg viewBox="0 0 24 24"><rect width="24" height="24" rx="5" fill="#0b6e8a"/><path d="M12 4v16M10 7Q6 8 6 12'
    'M10 11Q7 12 7 16M14 7q4 1 4 5M14 11q3 1 3 5" fill="none" stroke="#fff" stroke-width="2"/></svg>'
)
# Beside the name, in a colour that stands out on light and on dark.
_LOGO = _ICON.replace('viewBox="0 0 24 24"', 'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 24"').replace(
    "</svg>",
    '<text x="31" y="17" font-family="sans-serif" font-size="15" font-weight="600" fill="#1b87a6">CXR Lab</text></svg>',
)
# A belt, should markup from outside reach a page all the same: the browser asks no other host for what is shown.
_POLICY = (
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; frame-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)
_SCRIPT = f"""<script>
const policy = document.createElement("meta");
policy.httpEquiv = "Content-Security-Policy";
policy.content = "{_POLICY}";
document.head.append(policy);
</script>"""

Screen = Literal["phone", "tablet", "wide"]
# As wide, in pixels, as in the rules below.
_PHONE, _TABLET = 640, 1000
_watch_width = st.components.v2.component(
    "cxr_lab.screen",
    js="""
export default function ({ data, setStateValue }) {
  let told = data.told
  const tell = () => {
    const screen = innerWidth <= data.phone ? "phone" : innerWidth <= data.tablet ? "tablet" : "wide"
    if (screen !== told) { told = screen; setStateValue("screen", screen) }
  }
  tell()
  addEventListener("resize", tell)
  return () => removeEventListener("resize", tell)
}
""",
)

# The choices that the address holds, so that a reload and a shared link show the same.
_LINKED = ("source", "classifier", "show", "run", "view", "split", "seed")
_LONGEST_NUMBER = 9
_APP, _HOME = "CXR Lab", "Overview"
# Streamlit leaves 6rem above the title; 3.75rem of them are the header's, and the block of the script takes one. Its
# captions, its axes and its button in the dark have a contrast of 4.2, 3.7 and 2.3; WCAG 2.2 (1.4.3) asks for 4.5. On a
# tablet beside its sidebar its columns are so narrow that numbers are cut off. Its second level of headings is nearly
# as large as a title: here it has the size of its third. Help, links to headings, boxes, lone icons and a plot's tools
# are smaller than the 24 pixels of WCAG 2.2 (2.5.8). The button that enlarges a tile's image lies over the image.
_STYLE = f"""
.st-key-screen {{ position: absolute; width: 0; overflow: hidden; }}
[data-testid="stTable"] td:first-child p {{ overflow-wrap: anywhere; }}
[data-testid="stMainBlockContainer"] {{ padding-top: 2.75rem; }}
[data-testid="stHeading"] h2 {{ font-size: 1.75rem; padding: 0.5rem 0 1rem; }}
[data-testid="stCaptionContainer"] {{ opacity: 0.8 !important; }}
[data-testid="stImageCaption"] {{ color: inherit !important; }}
.js-plotly-plot :is(.xtick, .ytick, .g-xtitle, .g-ytitle, .legend, .annotation) text {{
  fill: color-mix(in srgb, currentColor 80%, transparent) !important; }}
[data-testid^="stBaseButton-primary"] {{ color: light-dark(#ffffff, #10161a) !important; }}
[data-testid="stSidebarNavLink"]:focus-visible {{ outline: 2px solid currentColor; outline-offset: -2px; }}
[data-testid="stTooltipHoverTarget"] > button[aria-label^="Help"], [data-testid="stHeaderActionElements"] a {{
  display: inline-flex; align-items: center; justify-content: center; width: 24px; height: 24px; margin: -4px; }}
[data-testid="stCheckbox"] label, .js-plotly-plot .modebar-btn {{ min-height: 24px; }}
[data-testid="stBaseButton-tertiary"] {{ min-width: 24px; }}
[class*="st-key-tile_"] {{ position: relative; }}
[class*="st-key-enlarge_"] {{ position: absolute; inset: 1rem 1rem auto; width: auto; aspect-ratio: 1; }}
[class*="st-key-enlarge_"] :is(.stButton, .stButton > div, .stTooltipIcon, .stTooltipHoverTarget, button) {{
  width: 100%; height: 100%; }}
[class*="st-key-enlarge_"] button {{ cursor: zoom-in; align-items: end; justify-content: end; padding: 4px; }}
[class*="st-key-enlarge_"] p {{
  position: absolute; left: 0; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }}
[class*="st-key-enlarge_"] [data-testid="stIconMaterial"] {{
  padding: 2px; border-radius: 4px; color: #ffffff; background: #000000a0; }}
@media (max-width: {_TABLET}px) {{
  [data-testid="stHorizontalBlock"] {{ flex-wrap: wrap; }}
  :is([data-testid="stTable"], [data-testid="stMarkdown"]) :is(th, td) {{ padding: 4px; font-size: 0.75rem; }}
  [data-testid="stColumn"] {{ min-width: min(100%, 11rem); }}
  [data-testid="stColumn"]:has(.js-plotly-plot, :is([data-testid="stDataFrame"], table)) {{ min-width: 100%; }}
}}
@media (max-width: {_PHONE}px) {{
  [data-testid="stButtonGroup"] [role="radiogroup"] {{ flex-wrap: wrap; }}
}}
"""
_SECTIONS = {
    "": (("overview", _HOME, ":material/home:"),),
    "Data": (
        ("dataset", "Dataset", ":material/photo_library:"),
        ("duplicates", "Duplicates", ":material/content_copy:"),
        ("quality", "Quality", ":material/flag:"),
        ("labels", "Labels", ":material/label:"),
        ("splits", "Splits", ":material/call_split:"),
        ("map", "Map", ":material/scatter_plot:"),
    ),
    "Classifier": (
        ("preprocessing", "Preprocessing", ":material/tune:"),
        ("training", "Training", ":material/model_training:"),
        ("evaluation", "Evaluation", ":material/analytics:"),
        ("shortcuts", "Shortcuts", ":material/troubleshoot:"),
        ("hospital", "Your hospital", ":material/local_hospital:"),
        ("predict", "Predict", ":material/search:"),
        ("reading", "Reading", ":material/visibility:"),
    ),
}


def navigate() -> StreamlitPage:
    """Set up the app for this visit.

    Returns:
        The page that the visitor asked for, to be run. Whoever may not use the app is told so, and the run ends.
    """
    set_imports_aside()
    st.session_state["navigated"] = True
    # A training keeps running when a page changes or a browser closes, but not when this server ends.
    tie_to_parent()
    st.set_page_config(page_title=_APP, page_icon=_ICON, layout="wide")
    st.logo(_LOGO, size="large")
    st.html(f"<style>{_STYLE}</style>{_SCRIPT}", unsafe_allow_javascript=True)
    _ask_screen()
    _sweep()
    _sweep_runs()
    pages = {
        section: [
            st.Page(f"pages/{name}.py", title=title, icon=icon, default=name == "overview")
            for name, title, icon in pages
        ]
        for section, pages in _SECTIONS.items()
    }
    # Before the sign-in, too, so that a link to a page leads there afterwards.
    chosen = st.navigation(pages, position="sidebar" if may_come_in() else "hidden", expanded=True)
    require_sign_in()
    show_who()
    # A second call changes the title alone.
    st.set_page_config(page_title=_APP if chosen.title == _HOME else f"{chosen.title} · {_APP}")
    return chosen


def _ask_screen() -> None:
    """Let the browser say how wide the page is, once and whenever that changes; the page then runs again."""
    found = _watch_width(
        key="screen",
        data={"told": screen(), "phone": _PHONE, "tablet": _TABLET},
        on_screen_change=lambda: None,
    ).screen
    if found:
        st.session_state["screen_width"] = found


def screen() -> Screen:
    """Return on what kind of screen the page is read, by its width.

    Before the browser has said it, its name decides: "Mobi" is what the browsers of phones have in common.

    Source:
        MDN, "Browser detection using the user agent".
    """
    guess: Screen = "phone" if "Mobi" in st.context.headers.get("User-Agent", "") else "wide"
    told: Screen = st.session_state.get("screen_width", guess)
    return told


@contextmanager
def tell_of_disk() -> Iterator[None]:
    """Where the disk is full, read-only or broken, end a page with one sentence, which is logged, too.

    A fragment and a dialog need it of their own: Streamlit logs their errors before the page sees them.
    """
    try:
        yield
    except OSError as error:
        sentence = why_not_written(error)
        if sentence is None:
            raise
        _log.log(logging.ERROR, sentence)
        st.error(plain_text(sentence), icon=":material/hard_drive:")


@st.cache_resource(show_spinner=False)
def _sweep() -> None:
    """Remove, once per server, the uploads that an earlier server could not remove."""
    remove_abandoned()


@st.cache_resource(ttl="1h", show_spinner=False)
def _sweep_runs() -> None:
    """Remove, once an hour where anybody looks, the runs of visitors that were kept for a day."""
    remove_visit_runs()


def ensure_navigation() -> None:
    """Set up the app where Streamlit ran a page on its own.

    The first visit after a server start follows Streamlit's older rule, by which a link to a page
    runs its file alone, without `streamlit_app.py`. No page is shown that way without the sign-in either.
    """
    if "navigated" not in st.session_state:
        navigate()
        st.rerun()
    require_sign_in()
    _write_link()


def _link() -> dict[str, str]:
    """Return {name: text} of the choices that the address holds; at the begin of a visit, those of its link."""
    params = st.query_params
    link: dict[str, str] = st.session_state.setdefault("link", {n: params[n] for n in _LINKED if n in params})
    return link


def _write_link() -> None:
    """Write the choices into the address, on pages that do not ask for them, too."""
    link = _link()
    for name in _LINKED:
        if name in link and st.query_params.get(name) != link[name]:
            st.query_params[name] = link[name]
        elif name not in link and name in st.query_params:
            del st.query_params[name]


def _linked(name: str, default: Hashable) -> Hashable:
    """Return what the link of this visit chose, of the same type as the default; the default where it chose nothing."""
    text = _link().get(name)
    if text is None or not isinstance(default, int):
        return default if text is None else text
    return int(text) if text.isdecimal() and len(text) <= _LONGEST_NUMBER else default


def choose(name: str, value: Hashable) -> None:
    """Choose something in place of the visitor, before the widget of that choice is shown."""
    st.session_state[f"{name}_choice"] = st.session_state[f"{name}_kept"] = value


def keep_choice(name: str, default: Hashable, options: Collection[Hashable] | None = None) -> str:
    """Keep what is chosen in a widget for the whole visit.

    Streamlit forgets a widget's value when a page is shown that has no such widget. Choices of `_LINKED` are kept in
    the page's address as well, unless they are the default.

    Args:
        name: of the choice, the same on all pages that ask for it.
        default: chosen at first, and again where what was chosen is no longer offered; where it is not among the
            options itself, the first of them is.
        options: what is offered; None where anything can be entered.

    Returns:
        The widget's `key`. The widget itself must be given no default.
    """
    key, kept = f"{name}_choice", f"{name}_kept"
    begin = _linked(name, default) if name in _LINKED else default
    value = st.session_state.get(key, st.session_state.get(kept, begin))
    if options is not None and value not in options:
        value = default if default in options else next(iter(options))
    st.session_state[key] = st.session_state[kept] = value
    if name in _LINKED:
        link = _link()
        link.pop(name, None)
        if value != default:
            link[name] = str(value)
        _write_link()
    return key
