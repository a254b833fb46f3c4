"""CXR Lab's core: from a folder of chest radiographs to a classifier one can question.

Nothing here imports Streamlit; only the modules that train and export import TensorFlow, and say so in their first line.
"""

__version__ = "0.1.0"
