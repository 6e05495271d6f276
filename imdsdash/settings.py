"""All settings, and the only reader of the environment (12-factor; `.env.example` documents each variable).

A value that cannot be used stops the start with one sentence that names the variable, what is wrong with
it and what would be right. A fresh checkout runs without any of them: SQLite in `var/`, no Redis.
"""

import contextlib
import re
import secrets
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import environ
import structlog

from imdsdash import timetable

BASE_DIR = Path(__file__).resolve().parent.parent
T = TypeVar("T")

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")


def refuse(name: str, why: str) -> NoReturn:
    """Stop before anything has started, with one sentence instead of a traceback."""
    sys.exit(f"imdsdash: {name} {why} Nothing was started. `.env.example` lists every setting.")


def number(name: str, default: float, *, least: float, most: float) -> float:
    raw = env.str(name, default=str(default))
    try:
        value = float(raw)
    except ValueError:
        refuse(name, f"is {raw!r}, which is not a number; use one from {least:g} to {most:g}.")
    if not least <= value <= most:
        refuse(name, f"is {raw}, which is outside {least:g} to {most:g}.")
    return value


def whole(name: str, default: int, *, least: int, most: int) -> int:
    value = number(name, default, least=least, most=most)
    if value != int(value):
        refuse(name, f"is {value:g}, which is not a whole number; use one from {least} to {most}.")
    return int(value)


def flag(name: str, *, default: bool) -> bool:
    raw = env.str(name, default=str(default)).strip().lower()
    if raw in {"1", "true", "yes", "on"}:
        return True
    if raw in {"0", "false", "no", "off", ""}:
        return False
    return refuse(name, f"is {raw!r}; use true or false.")


def matching(name: str, default: str, pattern: str, example: str, *, secret: bool = False) -> str:
    raw = env.str(name, default=default).strip()
    if raw and not re.fullmatch(pattern, raw):
        shown = "set to something that" if secret else f"{raw!r}, which"
        refuse(name, f"is {shown} does not look like {example}.")
    return raw


def names(name: str, default: str, pattern: str, example: str) -> list[str]:
    found = [part.strip() for part in env.str(name, default=default).split(",") if part.strip()]
    for part in found:
        if not re.fullmatch(pattern, part):
            refuse(name, f"holds {part!r}, which does not look like {example}.")
    return found


def url(name: str, default: str, read: Callable[[str], T], example: str, *, what: str = "a database address") -> T:
    raw = env.str(name, default=default)
    try:
        return read(raw)
    except Exception:  # noqa: BLE001 -- whatever the parser dislikes; its words may hold a part of the password
        refuse(name, f"cannot be read as {what}; use for example {example}.")


# --- Where things are kept -------------------------------------------------------------------------
DATA_DIR = Path(env.str("IMDSDASH_DATA_DIR", default=str(BASE_DIR / "var"))).expanduser()
try:
    DATA_DIR.mkdir(parents=True, exist_ok=True)
except OSError as error:
    refuse("IMDSDASH_DATA_DIR", f"is {DATA_DIR}, which cannot be made: {error.strerror}.")
AUDIT_ANCHOR_FILE = Path(env.str("IMDSDASH_AUDIT_ANCHOR_FILE", default="") or DATA_DIR / "audit-anchors.jsonl")
if AUDIT_ANCHOR_FILE.is_dir() or not AUDIT_ANCHOR_FILE.parent.is_dir():
    refuse("IMDSDASH_AUDIT_ANCHOR_FILE", f"is {AUDIT_ANCHOR_FILE}, which is not a file in a folder that exists.")

# --- Django ----------------------------------------------------------------------------------------
DEBUG = flag("IMDSDASH_DEBUG", default=False)
HTTPS = flag("IMDSDASH_HTTPS", default=False)
ALLOWED_HOSTS = names("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]", r"[\w.\-*\[\]:]+", "dash.example.com")
CSRF_TRUSTED_ORIGINS = names("CSRF_TRUSTED_ORIGINS", "", r"https?://[\w.\-*:]+", "https://dash.example.com")


def own_secret_key() -> str:
    """One machine, one process: a key of its own, made once and readable by its owner alone."""
    path = DATA_DIR / "secret.key"
    if not path.exists():
        # Written beside and linked whole: two processes that start at once agree on the first one's.
        fresh = DATA_DIR / f"secret.{secrets.token_hex(8)}"
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(64))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(fresh)
        fresh.unlink()
    return path.read_text().strip()


REDIS_URL = matching("REDIS_URL", "", r"rediss?://\S+", "redis://127.0.0.1:6379/0", secret=True)
EMBEDDED = not REDIS_URL  # worker and beat live in the web process; messages in memory
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY and not EMBEDDED:
    refuse("SECRET_KEY", "is not set, and with REDIS_URL several processes must share one; use a long random text.")
if SECRET_KEY and len(SECRET_KEY) < 32:  # noqa: PLR2004
    refuse("SECRET_KEY", "is shorter than 32 characters, so sessions could be forged; use a long random text.")
SECRET_KEY = SECRET_KEY or own_secret_key()

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_structlog",
    "template_partials",
    "migration",
]
if find_spec("moto"):  # the extra `sandbox` is installed; to import it here would cost every process half its start
    INSTALLED_APPS.append("sandbox")

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "migration.middleware.ContentSecurityPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
]
ROOT_URLCONF = "imdsdash.urls"
WSGI_APPLICATION = "imdsdash.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "migration.views.context.site",
            ],
            "debug": DEBUG,
        },
    },
]

# Each thread has a connection, and each connection this much cache and map: small, so that a process stays small
# beside a large database.
SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA cache_size=-16384;"
    "PRAGMA mmap_size=33554432;PRAGMA temp_store=MEMORY;PRAGMA journal_size_limit=67108864"
)


def database() -> dict[str, Any]:
    """SQLite with the pragmas that make it safe under threads, or PostgreSQL."""
    example = "postgres://user:password@127.0.0.1:5432/imdsdash or sqlite:////data/imdsdash.sqlite3"
    found: dict[str, Any] = url(
        "DATABASE_URL",
        f"sqlite:///{DATA_DIR / 'imdsdash.sqlite3'}",
        lambda raw: dict(environ.Env.db_url_config(raw)),
        example,
    )
    if found.get("ENGINE") == "django.db.backends.sqlite3":
        if found["NAME"] != ":memory:" and not Path(found["NAME"]).parent.is_dir():
            refuse("DATABASE_URL", f"names the folder {Path(found['NAME']).parent}, which does not exist.")
        # IMMEDIATE: a transaction that will write takes the lock at its start; with the default one, a
        # read that becomes a write fails at once with "database is locked", whatever the timeout.
        found["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": SQLITE_PRAGMAS}
        # A file, not memory: threads and worker processes of a test must see the same rows.
        found["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
    elif found.get("ENGINE") == "django.db.backends.postgresql":
        if not found.get("NAME"):
            refuse("DATABASE_URL", f"names no database; use for example {example}.")
        if flag("IMDSDASH_DB_POOL", default=False):  # web only: Celery closes a pool after every task
            found["OPTIONS"] = {"pool": {"min_size": 1, "max_size": 8}}
        else:
            found |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
        found.setdefault("OPTIONS", {})["connect_timeout"] = 5
    else:
        refuse("DATABASE_URL", f"names neither sqlite nor postgres; use for example {example}.")
    return found


DATABASES = {"default": database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "staticfiles"
STATIC_ROOT.mkdir(exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
# Without a collectstatic (a clone, the demo) files are served straight from static/; after one, compressed.
WHITENOISE_USE_FINDERS = not any(STATIC_ROOT.iterdir())

# --- Security --------------------------------------------------------------------------------------
SECURE_CSP = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:", "blob:"],
    "connect-src": ["'self'"],
    "font-src": ["'self'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
    "base-uri": ["'none'"],
    "object-src": ["'none'"],
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
if HTTPS:
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]

# --- Celery: a message is only a nudge and carries only ids; the tables are the queue ---------------
CELERY_BROKER_URL = REDIS_URL or "memory://"
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 900
CELERY_TASK_SOFT_TIME_LIMIT = 840
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 500
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 30
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    {"polling_interval": 0.05}
    if EMBEDDED
    else {"visibility_timeout": 3600, "socket_connect_timeout": 3, "socket_timeout": 10}
)
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}
CELERY_TASK_ROUTES = timetable.ROUTES
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = timetable.schedule(sweep_seconds=whole("IMDSDASH_SWEEP_SECONDS", 30, least=1, most=300))

# --- imdsdash --------------------------------------------------------------------------------------
IMDSDASH_REGIONS = names("IMDSDASH_REGIONS", "", r"[a-z]{2,4}(-[a-z]+)+-\d", "eu-west-1")
IMDSDASH_WINDOW_DAYS = whole("IMDSDASH_WINDOW_DAYS", 14, least=1, most=60)
IMDSDASH_BACKFILL_DAYS = whole("IMDSDASH_BACKFILL_DAYS", 63, least=1, most=455)
if IMDSDASH_BACKFILL_DAYS <= IMDSDASH_WINDOW_DAYS:
    refuse("IMDSDASH_BACKFILL_DAYS", f"must be more than IMDSDASH_WINDOW_DAYS ({IMDSDASH_WINDOW_DAYS}).")
IMDSDASH_OVERLAP_DAYS = whole("IMDSDASH_OVERLAP_DAYS", 3, least=1, most=14)
IMDSDASH_HISTORY_DAYS = whole("IMDSDASH_HISTORY_DAYS", 90, least=1, most=455)  # CloudWatch keeps hours for 455 days
IMDSDASH_HISTORY_DAYS = max(IMDSDASH_HISTORY_DAYS, IMDSDASH_BACKFILL_DAYS)
IMDSDASH_KEEP_DAYS = whole("IMDSDASH_KEEP_DAYS", 90, least=30, most=1000)
if IMDSDASH_KEEP_DAYS < IMDSDASH_WINDOW_DAYS + 7:
    refuse("IMDSDASH_KEEP_DAYS", f"must be at least IMDSDASH_WINDOW_DAYS + 7 ({IMDSDASH_WINDOW_DAYS + 7}).")
IMDSDASH_COLLECT_EVERY_HOURS = number("IMDSDASH_COLLECT_EVERY_HOURS", 6, least=0.25, most=24)
IMDSDASH_USAGE_EVERY_HOURS = number("IMDSDASH_USAGE_EVERY_HOURS", 24, least=1, most=24)
IMDSDASH_WATCH_DAYS = whole("IMDSDASH_WATCH_DAYS", 3, least=0, most=30)
IMDSDASH_SLICE_SECONDS = whole("IMDSDASH_SLICE_SECONDS", 600, least=10, most=780)  # below CELERY_TASK_SOFT_TIME_LIMIT
# The share of AWS's own limit per account, Region and API that we take; the rest is the account owners'.
IMDSDASH_API_SHARE = number("IMDSDASH_API_SHARE", 0.5, least=0.05, most=0.9)
# Cross-account observability: one account whose CloudWatch shows the others' metrics. No role: it is our own.
IMDSDASH_MONITORING_ACCOUNT = matching("IMDSDASH_MONITORING_ACCOUNT", "", r"\d{12}", "an account id of 12 digits")
IMDSDASH_MONITORING_ROLE_ARN = matching(
    "IMDSDASH_MONITORING_ROLE_ARN", "", r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+", "arn:aws:iam::…:role/…"
)
if IMDSDASH_MONITORING_ROLE_ARN and IMDSDASH_MONITORING_ROLE_ARN.split(":")[4] != IMDSDASH_MONITORING_ACCOUNT:
    refuse("IMDSDASH_MONITORING_ROLE_ARN", "is a role of another account than IMDSDASH_MONITORING_ACCOUNT.")
IMDSDASH_PRICE_PER_1000_METRICS = number("IMDSDASH_PRICE_PER_1000_METRICS", 0.01, least=0, most=10)  # US dollars
PRICES = "us-east-1 list price as quoted by third parties; your bill has your own"
IMDSDASH_PRICE_SOURCE = env.str("IMDSDASH_PRICE_SOURCE", default=PRICES)
IMDSDASH_COLLECT_THREADS = whole("IMDSDASH_COLLECT_THREADS", 4, least=1, most=64)
# Looking into user data is off until somebody switches it on: people keep secrets there. It has a role of its own.
IMDSDASH_USER_DATA = flag("IMDSDASH_USER_DATA", default=False)
IMDSDASH_USER_DATA_ROLE = matching("IMDSDASH_USER_DATA_ROLE", "imdsdash-userdata", r"[\w+=,.@/-]+", "imdsdash-userdata")
IMDSDASH_READER_ROLE = matching("IMDSDASH_READER_ROLE", "imdsdash-reader", r"[\w+=,.@/-]+", "imdsdash-reader")
IMDSDASH_ENFORCER_ROLE = matching("IMDSDASH_ENFORCER_ROLE", "imdsdash-enforcer", r"[\w+=,.@/-]+", "imdsdash-enforcer")
IMDSDASH_EXTERNAL_ID = matching("IMDSDASH_EXTERNAL_ID", "", r"[\w+=,.@:/-]{2,1224}", "a text of 2 to 1224 characters")
IMDSDASH_PLAN_HOURS = whole("IMDSDASH_PLAN_HOURS", 72, least=1, most=720)
IMDSDASH_WAIVER_DAYS = whole("IMDSDASH_WAIVER_DAYS", 90, least=1, most=365)
# Where no policy says otherwise.
IMDSDASH_QUORUM = whole("IMDSDASH_QUORUM", 1, least=1, most=9)
IMDSDASH_IMAGES = flag("IMDSDASH_IMAGES", default=False)
IMDSDASH_CANARY_MINUTES = whole("IMDSDASH_CANARY_MINUTES", 30, least=0, most=1440)
IMDSDASH_REAUTH_MINUTES = whole("IMDSDASH_REAUTH_MINUTES", 10, least=1, most=720)
IMDSDASH_MAX_FAILURES = whole("IMDSDASH_MAX_FAILURES", 2, least=0, most=1000)
IMDSDASH_LEASE_SECONDS = whole("IMDSDASH_LEASE_SECONDS", 120, least=5, most=900)
# AWS allows ModifyInstanceMetadataOptions 5 a second per account and Region, shared with its owners: half at most.
IMDSDASH_WRITES_PER_SECOND = number("IMDSDASH_WRITES_PER_SECOND", 2.5, least=0.05, most=2.5)
IMDSDASH_AWS_CONNECT_TIMEOUT = number("IMDSDASH_AWS_CONNECT_TIMEOUT", 5, least=0.1, most=60)
IMDSDASH_AWS_READ_TIMEOUT = number("IMDSDASH_AWS_READ_TIMEOUT", 30, least=0.1, most=120)
IMDSDASH_TAGS = names("IMDSDASH_TAGS", "Owner,Team,Environment,Service", r"[^,]{1,128}", "Owner")
IMDSDASH_PAGE_SIZE = whole("IMDSDASH_PAGE_SIZE", 50, least=10, most=500)

# --- Who is told, and how ---------------------------------------------------------------------------
WEB_ADDRESS = r"https?://[\w.\-]+(:\d+)?(/\S*)?"
IMDSDASH_PUBLIC_URL = matching("IMDSDASH_PUBLIC_URL", "", WEB_ADDRESS, "https://dash.example.com").rstrip("/")
IMDSDASH_MAIL_TO = names("IMDSDASH_MAIL_TO", "", r"[^@\s,<>]+@[^@\s,<>]+", "platform@example.com")
IMDSDASH_MAIL_FROM = matching(
    "IMDSDASH_MAIL_FROM", "imdsdash@localhost", r"[^@\s,<>]+@[^@\s,<>]+", "imdsdash@example.com"
)
# Slack's addresses are passwords in all but name: whoever has one may write.
IMDSDASH_SLACK_WEBHOOK_URL = matching(
    "IMDSDASH_SLACK_WEBHOOK_URL", "", WEB_ADDRESS, "https://hooks.slack.com/services/T0/B0/x", secret=True
)
IMDSDASH_WEBHOOK_URL = matching(
    "IMDSDASH_WEBHOOK_URL", "", WEB_ADDRESS, "https://hooks.example.com/imdsdash", secret=True
)
IMDSDASH_WEBHOOK_SECRET = matching(
    "IMDSDASH_WEBHOOK_SECRET", "", r"\S{16,256}", "a random text of 16 to 256 characters", secret=True
)
if IMDSDASH_WEBHOOK_URL and not IMDSDASH_WEBHOOK_SECRET:
    refuse("IMDSDASH_WEBHOOK_SECRET", "is not set, so nobody could tell our messages from forged ones; set it as well.")
EMAIL_EXAMPLE = "smtp+tls://user:password@smtp.example.com:587"
MAIL = url(
    "EMAIL_URL",
    "",
    lambda raw: dict(environ.Env.email_url_config(raw)) if raw else {},
    EMAIL_EXAMPLE,
    what="the address of a mail server",
)
if IMDSDASH_MAIL_TO and not MAIL:
    refuse("EMAIL_URL", f"is not set, and IMDSDASH_MAIL_TO wants mail sent; use for example {EMAIL_EXAMPLE}.")
EMAIL_BACKEND = MAIL.get("EMAIL_BACKEND", "django.core.mail.backends.smtp.EmailBackend")
EMAIL_HOST = MAIL.get("EMAIL_HOST") or ""
if MAIL and not EMAIL_HOST and EMAIL_BACKEND.endswith("smtp.EmailBackend"):
    refuse("EMAIL_URL", f"names no mail server; use for example {EMAIL_EXAMPLE}.")
EMAIL_USE_TLS = bool(MAIL.get("EMAIL_USE_TLS"))
EMAIL_USE_SSL = bool(MAIL.get("EMAIL_USE_SSL"))
EMAIL_PORT = MAIL.get("EMAIL_PORT") or (587 if EMAIL_USE_TLS else 465 if EMAIL_USE_SSL else 25)
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = MAIL.get("EMAIL_HOST_USER") or "", MAIL.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_FILE_PATH = f"/{MAIL['EMAIL_FILE_PATH']}" if MAIL.get("EMAIL_FILE_PATH") else None
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = IMDSDASH_MAIL_FROM

IMDSDASH_HEARTBEAT_FILE = env.str("IMDSDASH_HEARTBEAT_FILE", default="")  # touched by worker and beat; empty: none

# --- Logs: one JSON line an event, from web, worker and beat alike -----------------------------------
LOG_FORMAT = matching("IMDSDASH_LOG_FORMAT", "json", r"json|console", "json or console")
LOG_LEVEL = matching("IMDSDASH_LOG_LEVEL", "INFO", r"DEBUG|INFO|WARNING|ERROR", "DEBUG, INFO, WARNING or ERROR")
DJANGO_STRUCTLOG_CELERY_ENABLED = True
LOG_CHAIN: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "structured": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": LOG_CHAIN,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.dev.ConsoleRenderer(colors=False)
                if LOG_FORMAT == "console"
                else structlog.processors.JSONRenderer(),
            ],
        },
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django.server": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "django_structlog": {"level": "WARNING"},
        # What these have to say of a failed call is said by us, once, in the account's own row.
        "botocore": {"level": "WARNING"},
        "botocore.credentials": {"level": "CRITICAL"},
        "celery": {"level": "WARNING"},
        "kombu": {"level": "ERROR"},
        "gunicorn": {"level": "WARNING"},
    },
}
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *LOG_CHAIN,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
