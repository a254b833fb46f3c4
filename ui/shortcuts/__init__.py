"""What does the Shortcuts page show?"""
