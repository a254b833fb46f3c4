"""In which ways is a data set laid out on the disk?"""
