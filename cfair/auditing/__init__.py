"""What an audit measures, and how it says so."""

from cfair.auditing.audit import audit
from cfair.auditing.records import Assumption, Json, Report, Row
from cfair.auditing.sources import External

__all__ = ["Assumption", "External", "Json", "Report", "Row", "audit"]
