"""The frame of pages: libraries that cannot end their script, a policy of exactly these scripts, atomic files."""

from __future__ import annotations

import base64
import hashlib
import html
from pathlib import Path

import jinja2
import pytest

from clinical_lstm.reporting import frame


def test_the_policy_names_the_scripts_of_the_page(page: str) -> None:
    scripts = [part.split("</script>", 1)[0] for part in page.split("<script>")[1:]]
    assert len(scripts) == 2
    assert frame.policy(*scripts) in html.unescape(page.split("<style>", 1)[0])
    digest = base64.b64encode(hashlib.sha256(b"1+1").digest()).decode()
    assert f"script-src 'sha256-{digest}';" in frame.policy("1+1")
    assert frame.policy("1+1").startswith("default-src 'none';")


def test_the_libraries_stay_inside_their_script() -> None:
    assert "</script" not in frame.libraries()
    assert "vegaEmbed" in frame.libraries()


def test_a_template_without_its_facts_is_refused() -> None:
    with pytest.raises(jinja2.UndefinedError):
        frame.filled("stay.html.j2", {})


def test_a_page_is_written_whole(tmp_path: Path) -> None:
    out = frame.write("<p>é</p>\n", tmp_path / "a/b.html")
    assert out.read_bytes() == "<p>é</p>\n".encode()
    assert [path.name for path in out.parent.iterdir()] == ["b.html"]
