"""One self-contained, offline HTML page from a run directory, its figures as PNG, and its model card."""

from clinical_lstm.reporting.card import keep, write_card
from clinical_lstm.reporting.page import write_page
from clinical_lstm.reporting.pictures import write_figures
from clinical_lstm.reporting.stay_page import write_stays

__all__ = ["keep", "write_card", "write_figures", "write_page", "write_stays"]
