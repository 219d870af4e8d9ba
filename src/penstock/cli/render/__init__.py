"""How answers look to people: rich renderables of the service's results, and nothing else."""
