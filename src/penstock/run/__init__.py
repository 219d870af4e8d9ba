"""Walks a plan: the only place where side effects meet."""
