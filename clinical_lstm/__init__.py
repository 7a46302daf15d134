"""Early warning from clinical time series: complication onset hours ahead, calibrated and explained."""

__version__ = "0.1.0"
