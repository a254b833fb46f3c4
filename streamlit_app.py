"""CXR Lab: `streamlit run streamlit_app.py`."""

import streamlit as st
from starlette.middleware import Middleware

from ui.common.navigation import navigate, tell_of_disk
from ui.common.permissions import VisitGate

if __name__ == "__main__":
    # A visit.
    with tell_of_disk():
        navigate().run()
else:
    # The server, which imports this file once.
    app = st.App(__file__, middleware=[Middleware(VisitGate)])
