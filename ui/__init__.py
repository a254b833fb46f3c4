"""What do the pages show, and what do they share?"""
