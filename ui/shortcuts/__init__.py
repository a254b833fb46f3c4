"""What stands on the Shortcuts page?"""
