"""What does the Reading page show?"""
