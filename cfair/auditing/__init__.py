"""What an audit measures, and how it says so."""

from cfair.auditing.audit import audit
from cfair.auditing.records import Assumption, Curve, Json, Outside, Report, Row
from cfair.auditing.sources import External

__all__ = ["Assumption", "Curve", "External", "Json", "Outside", "Report", "Row", "audit"]
