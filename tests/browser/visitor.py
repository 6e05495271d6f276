"""One signed-in person in one window, who notes what goes wrong."""

from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import ParseResult, urlparse

from axe_playwright_python.sync_playwright import Axe

FINE: dict[str, Any] = {"axe": [], "complaints": [], "other hosts": set(), "cut off": [], "too wide by": 0}
TALLEST = 2200  # pixels of a screenshot
TELL_POLICY = """document.addEventListener("securitypolicyviolation", (event) =>
  console.error("CSP", event.violatedDirective, event.blockedURI, event.sample));"""


# Cards clip what does not fit: say so instead of hiding it.
CUT_OFF = """[...document.querySelectorAll(".card-box, .card-box table")]
  .filter((box) => box.scrollWidth > box.clientWidth + 1 || box.getBoundingClientRect().right > innerWidth + 1)
  .filter((box) => !box.closest(".scroll"))
  .map((box) => `${box.tagName} ${box.className} ${box.scrollWidth} > ${box.clientWidth}`)"""


class Look(NamedTuple):
    width: int
    height: int
    theme: str

    def __str__(self) -> str:
        return f"{self.width}-{self.theme}"


DESK = Look(1440, 900, "light")
DESK_DARK = Look(1440, 900, "dark")
PHONE = Look(390, 844, "light")
PHONE_DARK = Look(390, 844, "dark")
TABLET = Look(768, 1024, "light")
LAPTOP = Look(1280, 720, "light")
NARROWEST = Look(320, 640, "light")
# Where axe, the slowest of all looks, reads every page: both themes, the widest and the narrowest order of things. The
# others are looked at for their layout.
AUDITED = (DESK, DESK_DARK, PHONE_DARK)


class Visitor:
    def __init__(self, browser: Any, *, base: str, session: str | None, look: Look, pictures: Path | None) -> None:
        self.base, self.look, self.pictures = base, look, pictures
        self.context = browser.new_context(viewport={"width": look.width, "height": look.height})
        cookies = {"theme": look.theme} | ({"sessionid": session} if session else {})
        self.context.add_cookies([{"name": name, "value": value, "url": base} for name, value in cookies.items()])
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.asked: list[ParseResult] = []
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self._note("error", str(error)))
        self.page.on("request", lambda request: self.asked.append(urlparse(request.url)))
        self.page.add_init_script(TELL_POLICY)

    def _note(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and "404 (Not Found)" not in text:
            self.complaints.append(text)

    def open(self, path: str) -> None:
        """Go there and wait until every chart is drawn."""
        self.page.goto(self.base + path)
        for chart in self.page.locator("[data-figure]").all():
            chart.locator(".main-svg").first.wait_for()

    def findings(self, name: str) -> dict[str, Any]:
        """What is wrong with the page as it stands, and a picture of it if pictures are kept."""
        if self.pictures is not None:
            self._take(self.pictures / f"{name}-{self.look}.png")
        return {
            "axe": self._axe() if self.look in AUDITED else [],
            "complaints": self.complaints,
            "other hosts": self._other_hosts(),
            "cut off": self.page.evaluate(CUT_OFF),
            "too wide by": self.page.evaluate(
                "Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth)"
            ),
        }

    def _take(self, path: Path) -> None:
        tall = min(self.page.evaluate("document.documentElement.scrollHeight"), TALLEST)
        clip = {"x": 0, "y": 0, "width": self.look.width, "height": tall}
        self.page.screenshot(path=path, full_page=True, clip=clip)

    def tour(self, pages: dict[str, str]) -> dict[str, Any]:
        """What is wrong with each of the pages; an empty dictionary when nothing is."""
        found = {}
        for name, path in pages.items():
            self.complaints = []
            self.open(path)
            found[name] = self.findings(name)
        return {name: findings for name, findings in found.items() if findings != FINE}

    def _axe(self) -> list[tuple[str, list[str]]]:
        found = Axe().run(self.page, options={"resultTypes": ["violations"]}).response["violations"]
        return [(one["id"], [node["html"][:300] for node in one["nodes"][:3]]) for one in found]

    def _other_hosts(self) -> set[str | None]:
        web = {"http", "https", "ws", "wss"}
        return {url.hostname for url in self.asked if url.scheme in web} - {"localhost", "127.0.0.1"}
