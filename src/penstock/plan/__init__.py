"""What a run will do, as data, made without side effects."""
