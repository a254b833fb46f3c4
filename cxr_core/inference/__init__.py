"""What does a classifier answer?"""
