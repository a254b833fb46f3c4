"""When should a classifier not be trusted?"""
