"""How well does a person read, beside a classifier?"""
