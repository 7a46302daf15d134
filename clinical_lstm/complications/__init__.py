"""Complications, one file each: what happened and when."""
