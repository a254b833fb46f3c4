"""What do the pages about a data set share?"""
