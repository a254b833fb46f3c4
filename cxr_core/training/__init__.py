"""How does a network learn? The only package that imports TensorFlow."""
