"""Parameter Golf Lab."""
