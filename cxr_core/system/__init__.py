"""What does the program need of the computer it runs on?"""
