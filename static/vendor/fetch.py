"""Brings the vendored front end files here, and says in VERSIONS.json what they are.

    python static/vendor/fetch.py [--from FOLDER_WITH_TARBALLS]

`npm pack` fetches from whatever registry npm is set to. Nothing is edited by hand: the icons are joined to
one sprite, and Plotly's own style rules are copied out of its bundle to a file, because a strict
Content-Security-Policy forbids the <style> element the bundle would make.
"""

import argparse
import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
BOOTSTRAP, ICONS, PLOTLY = "bootstrap@5.3.9", "bootstrap-icons@1.13.2", "plotly.js-basic-dist-min@4.1.1"
ICON_NAMES = (
    "arrow-counterclockwise",
    "arrow-right",
    "bar-chart-line",
    "box-arrow-right",
    "check-circle-fill",
    "check2-square",
    "circle-half",
    "clock-history",
    "clouds",
    "download",
    "exclamation-octagon-fill",
    "exclamation-triangle-fill",
    "file-earmark-text",
    "gear-fill",
    "grid-1x2",
    "hdd-stack",
    "hourglass-split",
    "info-circle-fill",
    "journal-text",
    "lightning-charge-fill",
    "list",
    "moon-stars",
    "pause-circle-fill",
    "person-circle",
    "play-circle-fill",
    "question-circle-fill",
    "rocket-takeoff",
    "search",
    "shield-check",
    "shield-lock-fill",
    "sign-stop-fill",
    "slash-circle",
    "stopwatch",
    "sun",
    "x-circle-fill",
    "x-lg",
)


def tarball(package: str, folder: Path | None, scratch: Path) -> tarfile.TarFile:
    """The published archive of `name@version`, from a folder or through npm."""
    name = package.replace("@", "-") + ".tgz"
    if folder is None:
        subprocess.run(["npm", "pack", package, "--pack-destination", str(scratch)], check=True)  # noqa: S603, S607
        folder = scratch
    return tarfile.open(folder / name)


def member(archive: tarfile.TarFile, path: str) -> str:
    handle = archive.extractfile(f"package/{path}")
    if handle is None:
        raise FileNotFoundError(path)
    return handle.read().decode()


def sprite(archive: tarfile.TarFile) -> str:
    """All icons as <symbol>s of one file; a page shows one by <use href="icons.svg#name">."""
    symbols = []
    for name in ICON_NAMES:
        drawn = re.search(r"<svg[^>]*>(.*)</svg>", member(archive, f"icons/{name}.svg"), re.DOTALL)
        if drawn is None:
            raise ValueError(name)
        body = " ".join(drawn[1].split())
        symbols.append(f'<symbol id="{name}" viewBox="0 0 16 16">{body}</symbol>')
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def plotly_styles(bundle: str) -> str:
    """The rules Plotly would insert at run time, with its X and Y written out as its own code does."""
    found = re.search(r'\{("X,X div":.*?)\}', bundle, re.DOTALL)
    if found is None:
        raise ValueError("Plotly's style rules are not where they were; see how this version writes them.")
    lines = []
    for selector, single, double in re.findall(r'"([^"]+)":(?:\'([^\']*)\'|"([^"]*)")', found[1]):
        full = re.sub("^,", " ,", selector).replace("X", ".js-plotly-plot .plotly").replace("Y", ".plotly-notifier")
        lines.append(f"{full} {{ {single or double} }}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="folder", type=Path, help="a folder that holds the tarballs already")
    folder = parser.parse_args().folder
    manifest = []

    def keep(file: str, text: str, package: str, licence: str) -> None:
        (HERE / file).write_text(text)
        name, version = package.rsplit("@", 1)
        digest = hashlib.sha256(text.encode()).hexdigest()
        manifest.append({"package": name, "version": version, "licence": licence, "file": file, "sha256": digest})

    with tempfile.TemporaryDirectory() as scratch:
        with tarball(BOOTSTRAP, folder, Path(scratch)) as archive:
            css = re.sub(r"\n?/\*# sourceMappingURL=.*?\*/\n?", "\n", member(archive, "dist/css/bootstrap.min.css"))
            keep("bootstrap.min.css", css, BOOTSTRAP, "MIT")
        with tarball(ICONS, folder, Path(scratch)) as archive:
            keep("icons.svg", sprite(archive), ICONS, "MIT")
        with tarball(PLOTLY, folder, Path(scratch)) as archive:
            bundle = member(archive, "plotly-basic.min.js")
            keep("plotly-basic.min.js", bundle, PLOTLY, "MIT")
            keep("plotly.css", plotly_styles(bundle), PLOTLY, "MIT")
    (HERE / "VERSIONS.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
