"""How does a classifier do at each hospital?"""
