"""Outgoing HTTP for every connector: one guard, one set of limits, one way to authenticate, retry and report.

``HttpConnection`` (config.py) is what a document says; ``HttpClient`` (client.py) is what a connector uses. The driver,
libcurl, is imported by ``curl.py`` alone, and ``curl.py`` on the first request.
"""
