"""Celery: celery --app celery_app worker"""

import os

import sidelight_handler
from celery import Celery

# a broker of files, so that the example needs no server
folder = os.environ.get("CELERY_FOLDER", "/tmp/sidelight-celery")
os.makedirs(folder, exist_ok=True)
app = Celery("shop", broker="filesystem://", broker_transport_options={
    "data_folder_in": folder, "data_folder_out": folder, "control_folder": folder + "/control",
})
sidelight_handler.install()


@app.task
def charge(path):
    """The work of the worker."""
    return path


@app.task
def probe(path):
    """Other work."""
    return path
