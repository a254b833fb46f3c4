"""Which images are there?"""
