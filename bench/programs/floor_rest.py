"""Draining the bytes: four connections, nothing parsed."""

import http.client
import sys
from concurrent.futures import ThreadPoolExecutor

port, pages, size = map(int, sys.argv[1:4])


def drain(first: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for number in range(first, pages, 4):
        connection.request("GET", f"/rows?offset={number * size}&limit={size}")
        connection.getresponse().read()


with ThreadPoolExecutor(4) as pool:
    list(pool.map(drain, range(4)))
