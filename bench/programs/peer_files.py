"""Polars, pandas and dlt over the same files, each at its fastest documented setting, and dlt as it comes."""

import sys
from pathlib import Path

peer, kind, source, target = sys.argv[1:5]
Path(target).parent.mkdir(parents=True, exist_ok=True)

if peer == "polars":
    import polars as pl

    lazy = pl.scan_ndjson(source) if kind.startswith("ndjson") else pl.scan_csv(source, try_parse_dates=True)
    if kind == "csv-aggregate":
        lazy = (
            lazy.filter(pl.col("l_quantity") > 10)
            .group_by("l_shipmode", "l_returnflag")
            .agg(pl.len().alias("n"), (pl.col("l_extendedprice") * (1 - pl.col("l_discount"))).sum().alias("revenue"))
        )
    lazy.sink_parquet(target, compression="zstd")
elif peer == "pandas":
    import pandas as pd

    frame = pd.read_json(source, lines=True) if kind.startswith("ndjson") else pd.read_csv(source, engine="pyarrow")
    if kind == "csv-aggregate":
        frame = frame[frame.l_quantity > 10]
        frame["revenue"] = frame.l_extendedprice * (1 - frame.l_discount)
        frame = frame.groupby(["l_shipmode", "l_returnflag"]).agg(n=("revenue", "size"), revenue=("revenue", "sum"))
    frame.to_parquet(target)
elif peer == "dlt-arrow":
    import dlt
    import pyarrow.csv as pc
    import pyarrow.json as pj

    def batches():
        if kind.startswith("ndjson"):
            yield from pj.open_json(source)
        else:
            yield from pc.open_csv(source)

    pipeline = dlt.pipeline(
        "bench", destination=dlt.destinations.filesystem(Path(target).parent.as_uri()), dataset_name="d"
    )
    pipeline.run(batches(), table_name="li", loader_file_format="parquet", write_disposition="replace")
elif peer == "dlt-default":
    import csv
    import json

    import dlt

    def rows():
        with Path(source).open(newline="") as file:
            yield from (map(json.loads, file) if kind.startswith("ndjson") else csv.DictReader(file))

    pipeline = dlt.pipeline(
        "bench", destination=dlt.destinations.filesystem(Path(target).parent.as_uri()), dataset_name="d"
    )
    pipeline.run(rows(), table_name="li", loader_file_format="parquet", write_disposition="replace")
