"""A run -> one self-contained HTML page: numbers beside the baselines, cohort, drivers, explained stays, model card.

  clinical-lstm report run=NAME
  clinical-lstm report run=last report.identifiers=true      stay ids instead of pseudonyms
  clinical-lstm report run=NAME stay=ID                      one explained stay alone and larger; several: stay=[A,B]
  clinical-lstm report run=NAME 'card.contact="..."'         what only people can say in the model card

Needs `evaluate`; shows explanations when `explain` has run. Writes reports/NAME/index.html, card.md and card.json; with
`stay` only reports/NAME/stays/stay-1.html (with identifiers ID.html). A stay goes by its id or by "Stay 1", as the page
of the run calls it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from omegaconf import DictConfig, ListConfig

from clinical_lstm.artifacts import Run
from clinical_lstm.reporting import keep, write_card, write_figures, write_page, write_stays
from pipelines import places, stage
from pipelines.tracking import Tracker

KEYS = ["run", "stay", "report", "card", "tracking"]


def main(config: DictConfig) -> Path:
    """Write the page of a run, or those of some of its stays."""
    run = places.existing_run(config)
    run.verify()
    run.require("evaluate", f"clinical-lstm evaluate run={run.name}")
    folder = Path(config.paths.reports) / run.name
    if config.stay is not None:
        return _stays(config, run, folder / "stays")
    keep(run, places.plain(config.card))
    print(f"report: drawing {folder / 'index.html'}", flush=True)
    page = write_page(run, folder / "index.html", identifiers=config.report.identifiers)
    write_figures(run, folder / "figures")
    card = write_card(run, folder)
    Tracker(places.plain(config.tracking), config.paths.artifacts, run).publish(folder)
    print(f"card: {card.told()}; see {folder / 'card.md'}")
    print(f"report: wrote {page} ({page.stat().st_size / 1e6:.1f} MB); open it in a browser")
    return page


def _stays(config: DictConfig, run: Run, folder: Path) -> Path:
    """Write the pages of the stays that were asked for; a tracking server does not get them."""
    asked = [str(one) for one in config.stay] if isinstance(config.stay, ListConfig) else [str(config.stay)]
    pages = write_stays(run, asked, folder, identifiers=config.report.identifiers)
    for page in pages:
        print(f"report: wrote {page} ({page.stat().st_size / 1e6:.1f} MB); open it in a browser")
    return pages[0]


if __name__ == "__main__":
    sys.exit(stage.launch("report", sys.argv[1:]))
