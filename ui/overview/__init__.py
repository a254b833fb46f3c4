"""What does a visitor meet first, and where can they begin?"""
