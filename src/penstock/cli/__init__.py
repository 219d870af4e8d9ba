"""Argument parsing and rendering. No logic."""

import os

# Plugins of pydantic are looked for in every installed distribution; ours are command lines, and have none.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
