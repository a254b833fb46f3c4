"""What does a training do?"""
