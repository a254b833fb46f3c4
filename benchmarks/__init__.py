"""Side-by-side measurements against the article's way, run by hand; see README.md."""
