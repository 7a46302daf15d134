"""Bedside scores, one file each: points at every hour, from what was known by then."""
