"""What stands on the Training page?"""
