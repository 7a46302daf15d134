"""Pure functions from labels and risks (and optional row weights) to numbers: called directly, not plug-ins."""
