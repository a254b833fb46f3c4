"""Which images belong together, and on which side does each stand?"""
