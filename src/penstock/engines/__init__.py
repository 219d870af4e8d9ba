"""Engines run graphs; they do not know each other."""
