"""The page as an app of Django's."""

from django.apps import AppConfig


class Page(AppConfig):
    """Visitors, what they upload, and what is made of it."""

    name = "jaxstyle.web"
    label = "page"
    default_auto_field = "django.db.models.BigAutoField"
