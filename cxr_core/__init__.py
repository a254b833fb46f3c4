"""CXR Lab's core: from a folder of chest radiographs to a classifier one can question.

Nothing here imports Streamlit; only `model`, `train` and `export` import TensorFlow.
"""

__version__ = "0.1.0"
