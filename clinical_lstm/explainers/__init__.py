"""Explainers: one file each; a model and predictions in, the share of every input in their logits out."""
