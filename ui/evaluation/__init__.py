"""What stands on the Evaluation page?"""
