"""The files around the code say the same as the code: settings, compose, Dockerfile, README, CI."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parent.parent
# Read by the tests and by .ci/run, never by the product.
FOR_TESTS = {"IMDSDASH_TEST_DATABASE_URL", "IMDSDASH_TEST_REDIS_URL"}


def text(name: str) -> str:
    return (ROOT / name).read_text()


def tracked() -> list[str]:
    """What is, or would be, committed."""
    asked = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    return [name for name in sorted(set(done.stdout.split("\0"))) if name and (ROOT / name).is_file()]


def read_by_settings() -> set[str]:
    """Every environment variable the settings ask for."""
    readers = r"(?:env\.\w+|number|whole|flag|matching|names|url)"
    return set(re.findall(rf'\b{readers}\(\s*"([A-Z][A-Z0-9_]+)"', text("imdsdash/settings.py")))


def documented() -> dict[str, str]:
    """The variables of .env.example and the default each names."""
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]+)=(.*)$", text(".env.example"), flags=re.MULTILINE))


def compose() -> dict:
    return yaml.safe_load(text("docker-compose.yml"))


def asked_by_compose() -> set[str]:
    return set(re.findall(r"(?<!\$)\$\{([A-Z][A-Z0-9_]+)", text("docker-compose.yml")))


def test_every_setting_is_in_the_example_file():
    assert read_by_settings() - documented().keys() == set()


def test_the_example_file_names_nothing_that_nobody_reads():
    known = read_by_settings() | asked_by_compose()

    assert {name for name in documented() if name not in known and not name.startswith("AWS_")} == set()


def test_the_example_file_says_each_variable_once_and_nothing_behind_its_value():
    names = re.findall(r"^#?([A-Z][A-Z0-9_]+)=", text(".env.example"), flags=re.MULTILINE)

    assert [name for name in set(names) if names.count(name) > 1] == []
    assert [name for name, value in documented().items() if "#" in value or value != value.strip()] == []


def test_the_defaults_of_the_example_file_are_the_settings_own(settings):
    """With all of it taken over as it stands, nothing changes."""
    plain = {name: value for name, value in documented().items() if re.fullmatch(r"IMDSDASH_\w+", name)}
    compared = {name for name in plain if hasattr(settings, name)} - {"IMDSDASH_SWEEP_SECONDS"}
    differing = {name for name in compared if as_text(getattr(settings, name)) != plain[name]}

    assert compared > {"IMDSDASH_WINDOW_DAYS", "IMDSDASH_TAGS", "IMDSDASH_READER_ROLE"}
    assert differing == set()


def as_text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_only_the_settings_read_the_environment():
    reading = re.compile(r"os\.(?:environ\b(?!\.setdefault)|getenv\b)")
    found = [name for name in python_of("imdsdash", "migration") if reading.search(text(name))]

    assert [name for name in found if name != "imdsdash/settings.py"] == []


def python_of(*folders: str) -> list[str]:
    return [name for name in tracked() if name.endswith(".py") and name.startswith(folders)]


# --- compose and Dockerfile --------------------------------------------------------------------------


def test_every_variable_of_compose_is_in_the_example_file():
    assert asked_by_compose() - documented().keys() == set()


def test_every_setting_that_compose_gives_its_services_is_one_the_settings_read():
    given = {name for service in ours().values() for name in service.get("environment", {})}

    assert given > {"SECRET_KEY", "DATABASE_URL", "REDIS_URL"}
    assert given - read_by_settings() == set()


def ours() -> dict:
    """The services that run our image."""
    return {name: service for name, service in compose()["services"].items() if "build" in service}


def test_each_service_has_limits_a_health_check_and_no_floating_tag():
    for name, service in compose()["services"].items():
        assert service["mem_limit"], name
        assert service["pids_limit"], name
        assert ":" in service["image"], name
        assert not service["image"].endswith(":latest"), name
        assert "healthcheck" in service or name == "web", f"{name}: only web has the image's own"


def test_our_services_run_without_rights_they_do_not_need():
    assert set(ours()) == {"migrate", "web", "worker-collect", "worker-enforce", "worker-notify", "beat"}
    for name, service in ours().items():
        rights = (service["user"], service["read_only"], service["cap_drop"], service["security_opt"])
        assert rights == ("10001:10001", True, ["ALL"], ["no-new-privileges:true"]), name


def test_ports_are_open_to_this_machine_only():
    ports = [port for service in compose()["services"].values() for port in service.get("ports", [])]

    assert len(ports) == 1
    assert ports[0].startswith("127.0.0.1:")


def test_only_web_pools_its_connections():
    pooled = [name for name, service in ours().items() if "IMDSDASH_DB_POOL" in service["environment"]]

    assert pooled == ["web"]


def test_every_queue_has_a_worker(settings):
    listened = set()
    for service in ours().values():
        words = service.get("command", [])
        if "-Q" in words:
            listened |= set(words[words.index("-Q") + 1].split(","))

    assert listened == {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()} | {"celery"}


def test_a_worker_is_given_longer_to_end_than_it_takes_to_finish_a_call(settings):
    for service in ours().values():
        assert int(service["stop_grace_period"].rstrip("s")) > settings.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT


def test_what_the_dockerfile_copies_is_here_and_let_in():
    let_in = [line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text("Dockerfile"), flags=re.MULTILINE)
    sources = [source for line in copied for source in line.split()]

    assert sources
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if source not in let_in] == []


def test_the_image_is_built_with_the_makefiles_uv():
    version = re.search(r"^UV_VERSION := (\S+)$", text("Makefile"), flags=re.MULTILINE)

    assert version is not None
    assert re.findall(r"uv==(\S+)", text("Dockerfile")) == [version[1]]


def test_the_image_has_no_pretend_aws_and_no_development_group():
    assert "sandbox" not in text(".dockerignore")
    assert "uv sync --frozen --no-dev" in text("Dockerfile")
    assert "--extra" not in text("Dockerfile")


# --- commands and targets named in prose --------------------------------------------------------------

PROSE = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/runbook.md",
    "CHANGELOG.md",
    "docker-compose.yml",
    "Makefile",
    "Dockerfile",
]


@pytest.mark.parametrize("name", PROSE)
def test_every_command_that_is_named_exists(name: str):
    said = set(re.findall(r"manage\.py\"?,? \"?([a-z_]+)", text(name)))

    assert said - get_commands().keys() == set()


@pytest.mark.parametrize("name", PROSE)
def test_every_make_target_that_is_named_exists(name: str):
    said = set(re.findall(r"[`(]make ([a-z]+)|^ *(?:\$ )?make ([a-z]+)", text(name), flags=re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), flags=re.MULTILINE))

    assert {first or second for first, second in said} - targets == set()


@pytest.mark.parametrize("name", [name for name in tracked() if name.endswith(".md")])
def test_every_link_to_a_file_of_ours_leads_somewhere(name: str):
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text(name))

    assert [link for link in links if not ((ROOT / name).parent / link).exists()] == []


# --- the house -----------------------------------------------------------------------------------------


def test_ci_ends_with_the_tests():
    lines = [line for line in text(".ci/run").splitlines() if line and not line.startswith("#")]

    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert lines[-2:] == ["make check", "make test"]
    assert "set -euo pipefail" in lines


def test_no_file_has_grown_past_five_hundred_lines():
    ours = [name for name in tracked() if name.endswith((".py", ".html", ".js", ".css"))]
    long = [
        name
        for name in ours
        if not name.startswith(("static/vendor/", "migration/migrations/")) and len(text(name).splitlines()) > 500
    ]

    assert long == []


def test_no_tracked_file_names_a_place_of_one_machine():
    """Home folders, scratch folders and private registries: a clone elsewhere has none of them."""
    places = ["/" + folder + "/" for folder in ("work", "root", "farm")]
    places += ["/home" + "/", "/opt" + "/pypi", "pypi" + "-more"]
    hosts = re.compile(
        "index" + r"[-_]url\s*=|" + "registry" + r"\s*=\s*\"https?://(?!pypi\.org/simple)", re.IGNORECASE
    )
    found = []
    for name in tracked():
        try:
            content = text(name)
        except UnicodeDecodeError:
            continue
        if name.startswith("static/vendor/") or name == "tests/test_repository.py":
            continue
        found += [f"{name}: {place}" for place in places if place in content]
        found += [f"{name}: {match[0]}" for match in hosts.finditer(content)]

    assert found == []
