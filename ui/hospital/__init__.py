"""How does a classifier do at a hospital that it has not seen?"""
