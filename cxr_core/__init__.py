"""CXR Lab's core: from a folder of chest radiographs to a classifier one can question.

Nothing here imports Streamlit; only `model`, `batches`, `recorder`, `train` and `export` import TensorFlow.
"""

__version__ = "0.1.0"
