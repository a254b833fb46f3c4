"""When must a classifier not be believed?"""
