"""What does the page "the article reproduced" say and show?"""
