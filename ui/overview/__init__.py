"""What does a visitor meet first?"""
