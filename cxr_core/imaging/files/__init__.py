"""Of which kind is an image file, is it whole, and how much will decoding it take?"""
