"""HDFS by its interface over HTTP (WebHDFS), through fsspec's implementation of it.

The second place beside object stores that files lie in: a ``Bucket`` whose commits are renames. What object stores and
HDFS share is in ``connectors.objects``; nothing here knows a format of files.
"""
