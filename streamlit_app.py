"""CXR Lab: `streamlit run streamlit_app.py`."""

import streamlit as st

st.set_page_config(page_title="CXR Lab", page_icon=":material/radiology:", layout="wide")

pages = [
    st.Page("pages/overview.py", title="Overview", icon=":material/home:", default=True),
    st.Page("pages/dataset.py", title="Dataset", icon=":material/photo_library:"),
    st.Page("pages/preprocessing.py", title="Preprocessing", icon=":material/tune:"),
    st.Page("pages/training.py", title="Training", icon=":material/model_training:"),
    st.Page("pages/evaluation.py", title="Evaluation", icon=":material/analytics:"),
    st.Page("pages/predict.py", title="Predict", icon=":material/search:"),
]
st.navigation(pages).run()
