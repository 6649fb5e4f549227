"""Every environment variable that the project reads, and Django's settings made from them."""

import os
import sys
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import dj_database_url
import dj_email_url
from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from conductor.local import addresses
from conductor.local.private_files import kept_secret

BASE_DIR = Path(__file__).resolve().parent.parent


def flag(name: str, default: str = "0") -> bool:
    return os.environ.get(name, default).strip().lower() in {"1", "true", "yes", "on"}


def words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def number(name: str, default: int, least: int, most: int) -> int:
    text = os.environ.get(name) or str(default)
    try:
        if least <= int(text) <= most:
            return int(text)
    except ValueError:
        pass
    raise ImproperlyConfigured(f"{name} is {text!r}: it must be a number from {least} to {most}.")


def _package_folder(name: str) -> Path:
    """Return where a package is, without loading it."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


DATA_DIR = Path(os.environ.get("CONDUCTOR_DATA_DIR") or BASE_DIR / ".data").resolve()
PORT = number("PORT", 8000, least=1, most=65_535)
DEBUG = flag("DEBUG")


def _secret_key() -> str:
    """Return SECRET_KEY; where this is not said to be production, one that is made once and kept in DATA_DIR."""
    if key := os.environ.get("SECRET_KEY"):
        return key
    if "DEBUG" in os.environ and not DEBUG:
        raise ImproperlyConfigured("SECRET_KEY is not set. With DEBUG=0 the server starts only with a key of its own.")
    try:
        return kept_secret(DATA_DIR / "secret_key")
    except OSError as error:
        raise ImproperlyConfigured(
            f"{error.filename}: {error.strerror}. Set CONDUCTOR_DATA_DIR to a folder that you own, or SECRET_KEY."
        ) from None


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = words("CSRF_TRUSTED_ORIGINS")

DATABASE_URL = os.environ.get("DATABASE_URL") or addresses.database_url(DATA_DIR)
REDIS_URL = os.environ.get("REDIS_URL") or addresses.redis_url(DATA_DIR)

# Neither daphne nor ninja: as apps they would be loaded, 25 MB, by all that serve nothing.
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "django_htmx",
    "axes",
    "auditlog",
    "engagement",
    "anomalies",
    "conductor",
]
MIDDLEWARE = [
    "conductor.metrics.count_requests",
    "conductor.views.kept_nowhere",
    "conductor.bodies.PackedPages",
    "conductor.api.problems.problem_documents",
    "conductor.origins.refuse_unknown_hosts",
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "conductor.audit.remembered",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "conductor.urls"
ASGI_APPLICATION = "conductor.asgi.application"
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
                "conductor.zones.display",
            ]
        },
    }
]

try:
    DATABASES = {"default": dj_database_url.parse(DATABASE_URL, engine="conductor.timescale")}
except ValueError:  # its message would print the password
    raise ImproperlyConfigured(
        "DATABASE_URL cannot be read: write postgresql://USER:PASSWORD@HOST:5432/NAME, special characters as %XX."
    ) from None
# How long anything waits in the database: no request may hold a thread, and no sweep a worker, for ever. Commands do
# what takes long, and have no bounds. A server that is away is given up after as long as libpq can count: two seconds.
# What is live is in memory, where a page anywhere costs what the next one does. By PostgreSQL's default, made for disks
# that turn, all sessions would be read for the hundred that are due.
PLANNING = "-c random_page_cost=1.1"
WEB_PATIENCE = f"{PLANNING} -c lock_timeout=2s -c statement_timeout=5s -c idle_in_transaction_session_timeout=10s"
WORKER_PATIENCE = f"{PLANNING} -c lock_timeout=5s -c statement_timeout=15s -c idle_in_transaction_session_timeout=30s"
if flag("CONDUCTOR_DB_POOL"):  # set by asgi.py: under ASGI every request would open a connection of its own
    DATABASES["default"].setdefault("OPTIONS", {}).update(
        {
            "options": WEB_PATIENCE,
            "connect_timeout": 2,
            # Where connecting fails, the next request tries again, and not the pool at longer and longer intervals.
            "pool": {"min_size": 1, "max_size": 8, "timeout": 1.5, "reconnect_timeout": 1},
        }
    )
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True  # a server that was restarted is noticed before the query
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# redis-py gives sockets a timeout of 5 s, after which channels-redis would close idle WebSockets.
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None}]},
    }
}

CELERY_BROKER_URL = addresses.celery_broker_url(REDIS_URL)
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 60,
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    # How often a worker asks anew for whom nothing comes. What comes wakes it at once; who stops waits for the answer.
    "polling_interval": 2,
}
CELERY_BEAT_SCHEDULER = "conductor.clock:Clock"
TICK_SECONDS = 5.0
CELERY_BEAT_SCHEDULE = {
    "tick": {"task": "conductor.tasks.tick", "schedule": TICK_SECONDS},
    "practice": {"task": "conductor.tasks.practise", "schedule": TICK_SECONDS, "options": {"expires": TICK_SECONDS}},
    "housekeeping": {"task": "conductor.tasks.keep_house", "schedule": TICK_SECONDS},
    # Where no worker is free for it, later is as good.
    "condensing": {"task": "conductor.tasks.condense_rows", "schedule": 60.0, "options": {"expires": 60}},
    "tidying": {"task": "conductor.tasks.tidy", "schedule": crontab(minute="23")},
    "heartbeat": {"task": "conductor.tasks.send_heartbeat", "schedule": 60.0, "options": {"expires": 60}},
    # For what nobody was woken for, whose delay is over, or that is tried again.
    "telling": {"task": "conductor.telling.tasks.tell", "schedule": TICK_SECONDS, "options": {"expires": TICK_SECONDS}},
    # For what nobody was woken for, or broke off. Where no worker is free to look, one look is enough later.
    "reading": {"task": "conductor.tasks.read_upload", "schedule": 15.0, "options": {"expires": 15}},
}
CELERY_TIMEZONE = "UTC"
# On Redis the lowest number goes first, however long the others have waited.
CELERY_TASK_ROUTES = {
    "conductor.tasks.tick": {"priority": 0},
    "conductor.tasks.advance": {"priority": 3},
    "conductor.tasks.send_heartbeat": {"priority": 3},
    "conductor.tasks.practise": {"priority": 3},
    "conductor.tasks.catch_up": {"priority": 6},
    "conductor.tasks.keep_house": {"priority": 6},
    "conductor.tasks.condense_rows": {"priority": 6},
    "conductor.tasks.read_upload": {"priority": 9},
    "conductor.telling.tasks.tell": {"queue": "telling"},  # of which a program of its own takes
}
# No task works for longer than a second or two, but for reading uploads, which has limits of its own. One that hangs is
# killed with its process.
CELERY_TASK_TIME_LIMIT = 30

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"

# Who fails to log in too often. How failures weigh, `conductor.logins` says.
PROXIES = number("CONDUCTOR_PROXIES", 0, least=0, most=10)  # how many of ours append to X-Forwarded-For
AXES_HANDLER = "conductor.logins.LoginGuard"
AXES_FAILURE_LIMIT = 8  # of one name from one address
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "conductor.logins.find_address"
AXES_CLIENT_STR_CALLABLE = "conductor.logins.name_client"
AXES_LOCKOUT_CALLABLE = "conductor.logins.answer_locked"
AXES_DISABLE_ACCESS_LOG = True  # who logged in when and from where, nobody asks
AXES_ENABLE_ADMIN = False  # `conductor.admin` has the page
AXES_VERBOSE = False

AUDIT_DAYS = number("CONDUCTOR_AUDIT_DAYS", 365, least=1, most=3_650)  # who changed what is kept for so long

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static", _package_folder("ninja") / "static"]  # with the page of the API
STATIC_ROOT = Path(os.environ.get("STATIC_ROOT") or DATA_DIR / "static")
SERVESTATIC_USE_FINDERS = DEBUG
_manifest = "conductor.static_files.HashedFiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage" if DEBUG else _manifest},
}

# Behind a proxy that speaks TLS. CONDUCTOR_PLAIN_HTTP=1 is for a machine of one's own, where there is none.
PLAIN_HTTP = DEBUG or flag("CONDUCTOR_PLAIN_HTTP")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = not PLAIN_HTTP
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 0 if PLAIN_HTTP else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not PLAIN_HTTP
SECURE_HSTS_PRELOAD = not PLAIN_HTTP
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not PLAIN_HTTP
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

EMAIL_URL = os.environ.get("EMAIL_URL", "").strip()  # empty: nobody is sent mail
_mail = dj_email_url.parse(EMAIL_URL)
EMAIL_BACKEND = _mail.get("EMAIL_BACKEND", "django.core.mail.backends.dummy.EmailBackend")
EMAIL_HOST, EMAIL_PORT = _mail["EMAIL_HOST"], _mail["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_USER"], _mail["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail["EMAIL_USE_TLS"], _mail["EMAIL_USE_SSL"]
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = os.environ.get("DEFAULT_FROM_EMAIL") or "webmaster@localhost"

HEARTBEAT_URL = os.environ.get("CONDUCTOR_HEARTBEAT_URL", "").strip()  # called every minute while all is well

# Telling people and systems.
PUBLIC_URL = os.environ.get("CONDUCTOR_PUBLIC_URL", "").strip().rstrip("/")  # what messages link to
MAIL_URL = os.environ.get("CONDUCTOR_MAIL_URL", "").strip()  # of the server that sends mail, as Apprise writes it
CHAT_SERVICES = words(  # those whose hosts nobody can choose
    "CONDUCTOR_CHAT_SERVICES", "discord,slack,gchat,tgram,wxteams,flock,feishu,lark,dingtalk,line,pover,pbul"
)
PRIVATE_RECEIVERS = flag("CONDUCTOR_PRIVATE_RECEIVERS")  # whether webhooks may lead into our own network
MESSAGE_DAYS = number("CONDUCTOR_MESSAGE_DAYS", 14, least=1, most=3_650)  # what was told is kept for so long

# What `manage.py follow` follows, where it posts, and with which keys.
FOLLOW = words("CONDUCTOR_FOLLOW")
FOLLOW_URL = os.environ.get("CONDUCTOR_FOLLOW_URL", "").strip().rstrip("/") or PUBLIC_URL or f"http://127.0.0.1:{PORT}"
FOLLOW_KEY = os.environ.get("CONDUCTOR_FOLLOW_KEY", "").strip()
YOUTUBE_KEY = os.environ.get("CONDUCTOR_YOUTUBE_KEY", "").strip()

RATE_LIMIT = number("CONDUCTOR_RATE_LIMIT", 200, least=0, most=1_000_000)  # requests a second of a key; 0: no limit
ITEM_LIMIT = number("CONDUCTOR_ITEM_LIMIT", 50_000, least=0, most=10_000_000)  # rows and raw events of an event
BEACON_LIMIT = number("CONDUCTOR_BEACON_LIMIT", 1_000, least=0, most=1_000_000)  # reports a second of a token
BEACON_ADDRESS_LIMIT = number("CONDUCTOR_BEACON_ADDRESS_LIMIT", 200, least=0, most=1_000_000)  # and of an address
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024  # a batch of 1,000 rows is about 200 KB

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": sys.stderr}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django.channels.server": {"level": "WARNING"},
        "daphne": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "apprise": {"level": "WARNING"},  # it is told with the attempt
    },
}
