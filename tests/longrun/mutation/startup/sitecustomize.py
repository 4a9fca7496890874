"""Imported by Python at its start where PYTHONPATH names this folder: install the mutation before any other import."""

from tests.longrun.mutation.changed_source import install_from_environment

install_from_environment()
