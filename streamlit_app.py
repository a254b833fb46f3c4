"""CXR Lab: `streamlit run streamlit_app.py`."""

import streamlit as st
from starlette.middleware import Middleware

from ui.common.navigation import navigate, run_page
from ui.common.permissions import UploadGate

if __name__ == "__main__":
    # A visit.
    run_page(navigate())
else:
    # The server, which imports this file once.
    app = st.App(__file__, middleware=[Middleware(UploadGate)])
