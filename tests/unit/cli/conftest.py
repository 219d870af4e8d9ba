"""The project and the calls that all tests of the command line share."""

from command_line import penstock, project

__all__ = ["penstock", "project"]
