"""The examples are programs of their own, outside of the package: their folder goes on the path."""

import sys
from pathlib import Path

OIL_PRICES = Path(__file__).parents[3] / "examples" / "oil-prices"
sys.path.insert(0, str(OIL_PRICES))
