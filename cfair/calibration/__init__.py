"""Whether inference on a declared model finds what made the data: simulation-based calibration."""

from cfair.calibration.calibrating import calibrate
from cfair.calibration.records import Calibration, Ranked

__all__ = ["Calibration", "Ranked", "calibrate"]
