"""ConnectorX and dlt out of PostgreSQL."""

import sys
from pathlib import Path

peer, url, target = sys.argv[1:4]
if peer == "connectorx":
    import connectorx
    import pyarrow.parquet as pq

    pq.write_table(connectorx.read_sql(url, "select * from li", return_type="arrow"), target, compression="zstd")
elif peer == "dlt-connectorx":
    import dlt
    from dlt.sources.sql_database import sql_table

    driver = url.replace("postgresql://", "postgresql+psycopg2://")
    table = sql_table(credentials=driver, table="li", backend="connectorx", backend_kwargs={"return_type": "arrow"})
    pipeline = dlt.pipeline(
        "bench", destination=dlt.destinations.filesystem(Path(target).parent.as_uri()), dataset_name="d"
    )
    pipeline.run(table, loader_file_format="parquet", write_disposition="replace")
