"""Shipped samples of public data sets, and the script that drew them."""
