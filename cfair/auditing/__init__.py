"""What an audit measures, and how it says so."""

from cfair.auditing.audit import audit
from cfair.auditing.records import Assumption, Curve, Json, Outside, Report, Row

__all__ = ["Assumption", "Curve", "Json", "Outside", "Report", "Row", "audit"]
