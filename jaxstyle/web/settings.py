"""Django's settings, from the environment; see `jaxstyle.web.environment`."""

import os
from pathlib import Path
from typing import Any

from jaxstyle.web import environment

_HERE = Path(__file__).parent

DATA = environment.data_folder()
LIMITS = environment.read_limits()
PASSWORD = os.environ.get(environment.PREFIX + "PASSWORD", "")
WARM_SIZE = environment.whole("WARM_SIZE", 512)
"""The longer side of the pictures that workers make programs ready for while idle; 0 for none."""
HTTPS = environment.flag("HTTPS")
"""Whether a proxy in front speaks HTTPS: then everything is refused that does not."""

DEBUG = False
SECRET_KEY = environment.secret_key(DATA)
SECRET_KEY_FALLBACKS = environment.words("OLD_SECRET_KEYS")
# Names under which a page on this machine is opened; others cannot be made to point here.
ALLOWED_HOSTS = environment.words("HOSTS") or ["localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = environment.words("ORIGINS")

INSTALLED_APPS = ["jaxstyle.web.apps.Page"]
MIDDLEWARE = [
    "jaxstyle.web.middleware.policy",
    "jaxstyle.web.middleware.alive",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "jaxstyle.web.middleware.gate",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "jaxstyle.web.urls"
ASGI_APPLICATION = "jaxstyle.web.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [_HERE / "templates"],
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]

_SQLITE = f"sqlite:///{DATA / 'page.sqlite3'}"
DATABASES: dict[str, Any] = {
    "default": environment.database(os.environ.get("DATABASE_URL") or _SQLITE)
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Readers do not wait for a writer, and writers wait for each other instead of failing.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 30,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SESSION_COOKIE_NAME = "jaxstyle"
SESSION_COOKIE_AGE = 365 * 24 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "jaxstyle.web.views.errors.csrf"

SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
APPEND_SLASH = False

STATIC_URL = "/static/"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2**20  # of what is no upload
DATA_UPLOAD_MAX_NUMBER_FIELDS = 50

USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "jaxstyle: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        # What is refused is nobody's fault here, and its lines would be written by strangers.
        "django.request": {"handlers": ["console"], "level": "ERROR", "propagate": False},
        "django.security": {"handlers": ["console"], "level": "CRITICAL", "propagate": False},
    },
}
