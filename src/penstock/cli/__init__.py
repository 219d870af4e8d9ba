"""Argument parsing and rendering. No logic."""
