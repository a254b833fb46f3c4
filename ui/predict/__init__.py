"""What stands on the Predict page?"""
