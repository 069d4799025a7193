"""Django in one file: python3 django_app.py runserver"""

import sys

import sidelight_handler
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import path

settings.configure(
    DEBUG=True,
    SECRET_KEY="only an example",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
)
sidelight_handler.install()  # in a project: the last line of settings.py


def user(request, number):
    """Answers every request."""
    return HttpResponse("hello\n")


urlpatterns = [path("users/<int:number>", user)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
