"""How fast, how soon and how fair: XNovu beside the least program that does the same work."""
