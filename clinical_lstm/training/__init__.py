"""Training: cohort -> run directory. The only home of PyTorch Lightning."""
