"""CXR Lab: `streamlit run streamlit_app.py`."""

from ui.navigation import navigate

navigate().run()
