"""Django's commands for the page: `python -m jaxstyle.web check --deploy`, `migrate` and others."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jaxstyle.web.settings")
    execute_from_command_line(["python -m jaxstyle.web", *sys.argv[1:]])
