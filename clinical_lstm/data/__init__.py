"""From extracts of a source to a cohort on disk: cleaning, task geometry, labels, splits, scaling, tensors."""
