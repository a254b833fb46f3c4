"""What does the Predict page show?"""
