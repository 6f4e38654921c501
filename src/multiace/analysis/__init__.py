"""What a potential predicts, and how far that is from reference data."""

from __future__ import annotations

from multiace.analysis.errors import Deviation, ErrorRow, ErrorTable, compare, errors
from multiace.analysis.predict import predict

__all__ = ["Deviation", "ErrorRow", "ErrorTable", "compare", "errors", "predict"]
