"""Fleet file: read, checked, built into a world."""
