"""What does the Training page show?"""
