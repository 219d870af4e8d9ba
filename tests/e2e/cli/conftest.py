"""The projects and the calls that all tests of the command line share."""

from shop_of_rejects import shop

from command_line import penstock, project

__all__ = ["penstock", "project", "shop"]
