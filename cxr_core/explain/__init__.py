"""Where did the classifier look?"""
