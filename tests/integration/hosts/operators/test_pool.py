"""A pool of connections does not outlive a fork: a forked process makes one of its own."""

import multiprocessing
import os
import subprocess
import sys

import pytest
from django.db import connection

MIGRATE = """
import sys
from tests.integration.hosts.operators import settings

settings.DATABASES["default"] |= {"NAME": sys.argv[1], "OPTIONS": {"pool": True}}
settings.TENANT_MULTIPROCESSING_CHUNKS = 1
import django
django.setup()
from django.core.management import call_command
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT 1")
call_command("migrate_schemas", executor="multiprocessing", verbosity=0)
with connection.cursor() as cursor:
    cursor.execute("SELECT 1")
print("migrated")
"""


@pytest.mark.django_db
def test_migrate_schemas_with_pool_runs_in_several_processes() -> None:
    try:
        multiprocessing.Lock()
    except OSError as error:
        pytest.skip(f"this account cannot use semaphores (/dev/shm): {error}")
    run = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", MIGRATE, connection.settings_dict["NAME"]],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout == "migrated\n", run.stderr
