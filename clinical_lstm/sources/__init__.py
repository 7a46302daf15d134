"""Sources, one data set per file: raw files in, canonical extracts out."""
