"""CXR Lab: `streamlit run streamlit_app.py`."""

from ui.common.navigation import navigate, run_page

run_page(navigate())
