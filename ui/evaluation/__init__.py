"""What does the Evaluation page show?"""
