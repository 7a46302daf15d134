"""Models, one nn.Module per file: `Batch` in, logits per step out."""
