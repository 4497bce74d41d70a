"""What an audit measures, and how it says so."""

from cfair.auditing.audit import audit
from cfair.auditing.records import Assumption, Json, Report, Row

__all__ = ["Assumption", "Json", "Report", "Row", "audit"]
