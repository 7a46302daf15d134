"""One self-contained, offline HTML page from a run directory, and its figures as PNG."""

from clinical_lstm.reporting.figures import write_figures
from clinical_lstm.reporting.page import write_page

__all__ = ["write_figures", "write_page"]
