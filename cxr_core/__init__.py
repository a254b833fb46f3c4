"""CXR Lab's core: from a folder of chest radiographs to a classifier one can question.

Nothing here imports Streamlit; only modules that train or export import TensorFlow; they say so.
"""

__version__ = "0.1.0"
