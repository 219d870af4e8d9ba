"""requests with orjson and pandas, and dlt's rest_api source."""

import sys
from pathlib import Path

peer, port, pages, size, target = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
base = f"http://127.0.0.1:{port}"
if peer == "requests-pandas":
    import pandas as pd
    import requests

    session = requests.Session()
    answers = (session.get(f"{base}/rows", params={"offset": n * size, "limit": size}).json() for n in range(pages))
    pd.DataFrame([row for answer in answers for row in answer["data"]]).to_parquet(target)
elif peer == "dlt-rest":
    import dlt
    from dlt.sources.rest_api import rest_api_source

    paginator = {"type": "offset", "limit": size, "total_path": "total"}
    source = rest_api_source(
        {
            "client": {"base_url": base, "paginator": paginator},
            "resources": [{"name": "rows", "endpoint": {"path": "rows", "data_selector": "data"}}],
        }
    )
    pipeline = dlt.pipeline(
        "bench", destination=dlt.destinations.filesystem(Path(target).parent.as_uri()), dataset_name="d"
    )
    pipeline.run(source, loader_file_format="parquet", write_disposition="replace")
