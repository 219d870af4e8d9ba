"""Penstock: data pipelines that are compiled before they run, commit in epochs, and are balanced to the row."""

__version__ = "0.1.0"
