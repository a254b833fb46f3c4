"""How does the network learn where the lungs are, and whether a whole, upright chest is in the image?"""
