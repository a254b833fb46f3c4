"""CXR Lab: `streamlit run streamlit_app.py`."""

from ui.common.navigation import navigate

navigate().run()
