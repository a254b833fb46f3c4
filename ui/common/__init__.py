"""What do several pages need?"""
