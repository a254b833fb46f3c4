"""Which label tables are understood, and what does each tell of its images?"""
