"""The page in a real browser: drawn, silent, alone, zoomable, printable, and safe from hostile names."""

from __future__ import annotations

import http.server
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clinical_lstm.artifacts import Run, read_json, write_json
from clinical_lstm.reporting import words, write_page, write_stays
from clinical_lstm.reporting.frame import policy

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = "--disable-background-networking --disable-component-update --disable-sync --no-first-run --hide-scrollbars"
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium on the PATH")
HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>\u2028"


class Site:
    """A folder served on the loopback, and the paths that were asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, []
        site = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args: Any) -> None:
                super().__init__(*args, directory=str(folder))

            def log_message(self, *args: Any) -> None:
                site.asked.append(self.path)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.server.shutdown()
    site.server.server_close()


def browse(address: str, profile: Path, *flags: str) -> tuple[str, list[str]]:
    """Return the document after its scripts ran, and what the console said."""
    shutil.rmtree(profile, ignore_errors=True)
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", *QUIET.split()]
    command += [f"--user-data-dir={profile}", "--virtual-time-budget=30000", "--enable-logging=stderr", *flags, address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module", autouse=True)
def served(judged_page: str, site: Site) -> None:
    """Serve the page of the judged run."""
    (site.folder / "index.html").write_text(judged_page, encoding="utf-8")


@pytest.fixture(scope="module")
def drawn(site: Site) -> tuple[str, list[str], list[str]]:
    """The page as the browser leaves it, the console, and every request the server saw."""
    site.asked.clear()
    document, console = browse(f"{site.address}/index.html", site.folder / "profile", "--dump-dom")
    return document, console, list(site.asked)


@in_browser
def test_every_chart_is_drawn_as_svg(judged_page: str, drawn: tuple[str, list[str], list[str]]) -> None:
    charts = judged_page.count("data-chart=")
    # Of two targets: curves, subgroups and repair; checks and, of one target, importance, doses, errors and half-lives;
    # four stays, training.
    assert charts == 2 * (6 + 1 + 3) + 2 + (3 + 5 + 2 + 1) + 4 + 1
    document = drawn[0]
    assert f'data-charts="{charts}/{charts}"' in document[:200]
    assert document.count('<svg xmlns="http://www.w3.org/2000/svg"') == charts
    assert "<canvas" not in document
    assert "NaN" not in "".join(re.findall(r"<svg xmlns.*?</svg>", document, re.DOTALL))


@in_browser
def test_a_line_has_all_its_points_in_their_order(
    judged_page: str, drawn: tuple[str, list[str], list[str]], specs: Callable[[str], Any]
) -> None:
    """The drawn path of each curve has the corners of the data: as many, and across in the same order."""
    pictures = dict(re.findall(r'data-chart="([\w-]+)".*?(<svg xmlns.*?</svg>)', drawn[0], re.DOTALL))
    line = r'<path aria-label="[^"]*; p: ([^"]*)"[^>]*"line mark" d="M([^"]*)"'
    checked = 0
    for name, spec in specs(judged_page).items():
        rows = [row for layer in spec.get("layer", []) if "transform" in layer for row in layer["data"]["values"]]
        paths = dict(re.findall(line, pictures.get(name, "")))
        for row in rows:
            corners = [float(point.split(",")[0]) for point in paths[row["p"]].split("L")]
            assert len(corners) == len(row["x"]), (name, row["p"])
            assert np.corrcoef(corners, row["x"])[0, 1] > 0.9999, (name, row["p"])
            checked += 1
    assert checked == 2 * 5 * 4  # five kinds of curves joined as they come, four predictors


@in_browser
def test_the_numbers_of_a_forest_and_of_bands_are_drawn(drawn: tuple[str, list[str], list[str]]) -> None:
    texts = re.sub(r"<[^>]+>", " ", " ".join(re.findall(r"<svg xmlns.*?</svg>", drawn[0], re.DOTALL)))
    for label in ["Site A", "Sex female", "Hours before onset, up to", "Net benefit per prediction", "Event recall"]:
        assert label in texts, label
    assert "Local patients used" in texts
    assert drawn[0].count('class="mark-area') == 2 * (3 + 2 + 3) + 5  # methods of the charts of repair; doses


@in_browser
def test_the_console_is_silent_and_nothing_else_is_requested(drawn: tuple[str, list[str], list[str]]) -> None:
    _, console, asked = drawn
    assert console == []
    assert set(asked) <= {"/index.html", "/favicon.ico"}
    assert asked.count("/index.html") == 1


@in_browser
@pytest.mark.parametrize("guarded", [True, False])
def test_the_policy_stops_requests_and_foreign_scripts(site: Site, guarded: bool) -> None:
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy("1+1")}">' if guarded else ""
    body = f'<img src="{site.address}/leak"><script>document.title = "owned"</script><script>1+1</script>'
    (site.folder / "small.html").write_text(f"<!doctype html><html><head>{meta}</head><body>{body}</body></html>")
    document, console = browse(f"file://{site.folder}/small.html", site.folder / "profile", "--dump-dom")
    assert ("/leak" in site.asked) is not guarded
    assert ("<title>owned</title>" in document) is not guarded
    assert bool([line for line in console if "Content Security Policy" in line]) is guarded
    site.asked.clear()


@in_browser
def test_nothing_overflows_on_a_phone(judged_page: str, site: Site) -> None:
    """A frame 360 px wide: the document is as wide as its frame, and the charts fit in."""
    script = """
      const frame = document.querySelector("iframe");
      const wait = setInterval(() => {
        const inner = frame.contentDocument;
        if (!inner.documentElement.dataset.charts) return;
        clearInterval(wait);
        const charts = [...inner.querySelectorAll("[data-chart] svg")];
        const widest = Math.max(...charts.map((chart) => chart.getBoundingClientRect().right));
        document.title = `${inner.documentElement.scrollWidth} ${Math.ceil(widest)} ${charts.length}`;
      }, 50);"""
    frame = '<iframe src="index.html" style="width:360px;height:800px;border:0"></iframe>'
    (site.folder / "phone.html").write_text(f"<!doctype html><title></title>{frame}<script>{script}</script>")
    document, _ = browse(f"{site.address}/phone.html", site.folder / "profile", "--dump-dom")
    wide, widest, charts = map(int, re.search(r"<title>(\d+) (\d+) (\d+)", document).groups())
    assert wide == 360
    assert 270 < widest <= 360
    assert charts == judged_page.count("data-chart=")


@in_browser
def test_zoom_moves_every_view_of_a_stay(page: str, site: Site) -> None:
    """Ctrl + wheel over the risk: the hours under the heat map change too. The wheel alone does nothing."""
    script = """
      const frame = document.querySelector("iframe");
      const hours = (chart) => 
        [...chart.querySelectorAll(".role-axis-label text")].map((text) => text.textContent).join();
      const turn = (chart, ctrlKey) => {
        const box = chart.querySelector("svg").getBoundingClientRect();
        const at = { clientX: box.left + box.width * 0.7, clientY: box.top + 70, deltaY: -600 };
        const under = frame.contentDocument.elementFromPoint(at.clientX, at.clientY);
        const event = { ...at, ctrlKey, bubbles: true, cancelable: true };
        under.dispatchEvent(new frame.contentWindow.WheelEvent("wheel", event));
      };
      const later = () => new Promise((done) => setTimeout(done, 300));
      const wait = setInterval(async () => {
        const inner = frame.contentDocument;
        if (!inner.documentElement.dataset.charts) return;
        clearInterval(wait);
        const chart = inner.querySelector("article [data-chart]");
        chart.scrollIntoView({ behavior: "instant" });
        const states = [hours(chart)];
        for (const ctrlKey of [false, true]) {
          turn(chart, ctrlKey);
          await later();
          states.push(hours(chart));
        }
        document.title = states.map((state) => state === states[0]).join();
      }, 50);"""
    frame = '<iframe src="index.html" style="width:1000px;height:900px;border:0"></iframe>'
    (site.folder / "zoom.html").write_text(f"<!doctype html><title></title>{frame}<script>{script}</script>")
    flags = ("--dump-dom", "--window-size=1100,1000")
    document, _ = browse(f"{site.address}/zoom.html", site.folder / "profile", *flags)
    assert "<title>true,true,false</title>" in document


@in_browser
def test_pointing_at_a_risk_marks_its_hour_in_every_view(page: str, site: Site) -> None:
    """The line of the hour is in no view, then in all, at one place, and goes when the pointer does."""
    script = """
      const frame = document.querySelector("iframe");
      const lines = (chart) =>
        [...chart.querySelectorAll(".mark-rule line")].map((line) => line.getBoundingClientRect().left);
      const later = () => new Promise((done) => setTimeout(done, 300));
      const wait = setInterval(async () => {
        const inner = frame.contentDocument;
        if (!inner.documentElement.dataset.charts) return;
        clearInterval(wait);
        const chart = inner.querySelector("article [data-chart]");
        chart.scrollIntoView({ behavior: "instant" });
        const dots = [...chart.querySelectorAll(".mark-symbol path")];
        const dot = dots.filter((one) => one.getAttribute("opacity") === "0")[20];
        const box = dot.getBoundingClientRect();
        const at = { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2, bubbles: true };
        const counts = [lines(chart).length];
        dot.dispatchEvent(new frame.contentWindow.PointerEvent("pointerover", at));
        await later();
        const near = lines(chart).filter((left) => Math.abs(left - at.clientX) <= 2);
        counts.push(lines(chart).length, near.length);
        dot.dispatchEvent(new frame.contentWindow.PointerEvent("pointerout", at));
        await later();
        counts.push(lines(chart).length);
        document.title = counts.join();
      }, 50);"""
    frame = '<iframe src="index.html" style="width:1000px;height:900px;border:0"></iframe>'
    (site.folder / "hover.html").write_text(f"<!doctype html><title></title>{frame}<script>{script}</script>")
    flags = ("--dump-dom", "--window-size=1100,1000")
    document, _ = browse(f"{site.address}/hover.html", site.folder / "profile", *flags)
    before, pointed, near, after = map(int, re.search(r"<title>([\d,]+)</title>", document).group(1).split(","))
    assert pointed - before == near == 1 + 6 + 1  # the risk, six lanes, the contributions
    assert after == before


@in_browser
def test_a_stay_alone_is_drawn_and_printed_on_few_pages(told_run: Run, site: Site) -> None:
    (out,) = write_stays(told_run, ["Stay 1"], site.folder / "stays")
    document, console = browse(f"file://{out}", site.folder / "profile", "--dump-dom")
    assert 'data-charts="1/1"' in document[:200]
    assert console == []
    pdf = site.folder / "stay.pdf"
    browse(f"file://{out}", site.folder / "profile", f"--print-to-pdf={pdf}")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes())) <= 4


@in_browser
def test_no_printed_chart_is_taller_than_its_page(told_run: Run, site: Site) -> None:
    """In the width and with the rules of paper, every chart keeps below the height that A4 leaves (267 mm)."""
    write_stays(told_run, ["Stay 1"], site.folder / "stays")
    for name in ("index.html", "stays/stay-1.html"):
        page = (site.folder / name).read_text(encoding="utf-8")
        (site.folder / "paper.html").write_text(page.replace("@media print", "@media screen"), encoding="utf-8")
        script = """
          const frame = document.querySelector("iframe");
          const wait = setInterval(() => {
            const inner = frame.contentDocument;
            if (!inner.documentElement.dataset.charts) return;
            clearInterval(wait);
            const sizes = [...inner.querySelectorAll("[data-chart] svg")].map((chart) => chart.getBoundingClientRect());
            document.title = `${Math.max(...sizes.map((box) => box.height)) | 0} ${sizes.length}`;
          }, 50);"""
        frame = '<iframe src="paper.html" style="width:688px;height:900px;border:0"></iframe>'  # 182 mm
        (site.folder / "frame.html").write_text(f"<!doctype html><title></title>{frame}<script>{script}</script>")
        document, _ = browse(f"{site.address}/frame.html", site.folder / "profile", "--dump-dom")
        tallest, charts = map(int, re.search(r"<title>(\d+) (\d+)", document).groups())
        assert charts == page.count("data-chart=")
        assert 100 < tallest < 267 * 96 / 25.4, name


@in_browser
def test_prints_to_a_pdf_of_some_pages(site: Site) -> None:
    out = site.folder / "page.pdf"
    browse(f"file://{site.folder}/index.html", site.folder / "profile", f"--print-to-pdf={out}")
    content = out.read_bytes()
    assert content.startswith(b"%PDF")
    assert 6 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 32
    assert 50_000 < len(content) < 8_000_000


@in_browser
def test_hostile_names_stay_text(build_run: Callable[..., Run], site: Site, specs: Callable[[str], Any]) -> None:
    stays = [f"{HOSTILE}{index}" for index in range(3)]
    run = build_run(site.folder / "hostile", stays=stays, variables=["heart_rate", f"my {HOSTILE}"])
    manifest = read_json(run.path / "manifest.json")
    write_json(run.path / "manifest.json", manifest | {"cohort": HOSTILE, "git_commit": HOSTILE})
    page = write_page(run, site.folder / "hostile.html", identifiers=True).read_text(encoding="utf-8")
    assert "</script><img" not in page
    assert "\u2028" not in "".join(re.findall(r'<script type="application/json".*?</script>', page, re.DOTALL))
    rows = [row for spec in specs(page).values() for part in spec.get("datasets", {}).values() for row in part]
    assert f"my {words.clean(HOSTILE)}" in {row.get("n") for row in rows}  # it is there, as the text it is
    document, console = browse(f"file://{site.folder}/hostile.html", site.folder / "profile", "--dump-dom")
    assert "owned</title>" not in document
    assert "<img" not in re.sub(r"<script.*?</script>|<style.*?</style>", "", document, flags=re.DOTALL)
    assert console == []
    charts = page.count("data-chart=")
    assert f'data-charts="{charts}/{charts}"' in document[:200]
