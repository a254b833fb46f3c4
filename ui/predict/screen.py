"""On what kind of screen is the page read?"""

import streamlit as st


def is_phone() -> bool:
    """Return True where the browser says that it runs on a phone.

    Source:
        MDN, "Browser detection using the user agent": "Mobi" is what the browsers of phones have in common.
    """
    return "Mobi" in st.context.headers.get("User-Agent", "")
