"""In which ways do published data sets and hospitals tell which images are of one patient?"""
