"""One file per step: its parameters and how it becomes graph nodes."""
