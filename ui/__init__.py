"""What the pages share. With `pages/` and `streamlit_app.py` the only importer of Streamlit."""
