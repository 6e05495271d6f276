"""The files under static/vendor are the published ones: name, version, licence and SHA-256 are written down."""

import hashlib
import json
from pathlib import Path

VENDOR = Path(__file__).parents[2] / "static" / "vendor"
MANIFEST = json.loads((VENDOR / "VERSIONS.json").read_text())


def test_every_vendored_file_is_what_the_manifest_says():
    written = {one["file"]: one["sha256"] for one in MANIFEST}

    assert {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for name in written} == written


def test_no_file_is_vendored_without_being_written_down():
    ours = {"VERSIONS.json", "fetch.py"}

    assert {path.name for path in VENDOR.iterdir() if path.is_file()} - ours == {one["file"] for one in MANIFEST}


def test_every_vendored_file_has_a_licence():
    assert {one["licence"] for one in MANIFEST} == {"MIT"}


def test_every_icon_a_page_uses_is_in_the_sprite():
    import re

    from migration.templatetags import imds
    from migration.views.context import PAGES

    root = VENDOR.parents[1]
    asked = set(imds.ICONS.values()) | {icon for table in imds.STATES.values() for _, icon in table.values()}
    asked |= {page[2] for page in PAGES}
    for template in (root / "templates").rglob("*.html"):
        asked |= set(re.findall(r'{% icon "([\w-]+)"', template.read_text()))
        asked |= set(re.findall(r'icon="([\w-]+)"', template.read_text()))
    asked |= set(re.findall(r'icon="([\w-]+)"', (root / "migration/views/buttons.py").read_text()))
    there = set(re.findall(r'<symbol id="([\w-]+)"', (VENDOR / "icons.svg").read_text()))

    assert asked - there == set()


def test_plotlys_own_stylesheet_names_no_placeholder():
    sheet = (VENDOR / "plotly.css").read_text()

    assert ".js-plotly-plot .plotly" in sheet
    assert not any(line.startswith(("X", "Y")) or " X" in line for line in sheet.splitlines())
