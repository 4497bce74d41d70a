"""What an audit measures, and how it says so."""

from cfair.auditing.audit import audit
from cfair.auditing.records import Assumption, Curve, Json, Outside, Report
from cfair.auditing.sources import External
from cfair.comparing import Row

__all__ = ["Assumption", "Curve", "External", "Json", "Outside", "Report", "Row", "audit"]
