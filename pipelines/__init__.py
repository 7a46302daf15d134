"""Thin shells around `clinical_lstm`: one module per stage, the only home of Hydra and MLflow."""
