"""What the data say against a learned model, and what they cannot say."""

from cfair.diagnosis.diagnosing import diagnose
from cfair.diagnosis.records import Check, Diagnosis

__all__ = ["Check", "Diagnosis", "diagnose"]
