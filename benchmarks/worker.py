"""What a worker does before its first request, and what that takes: `python -m benchmarks.worker API ASGI`.

It prints JSON: seconds of processor time for the project, for it and the named API, and bytes of memory in the end.
"""

import json
import os
import sys
from importlib import import_module
from time import process_time

from benchmarks.memory import memory_of


def main(api: str, asgi: str) -> None:
    begin = process_time()
    import django
    from django.conf import settings

    django.setup()
    import_module(settings.ROOT_URLCONF)
    ready = process_time()
    import_module(api)
    with_api = process_time()
    import_module(asgi)
    answer = {"project": ready - begin, "api": with_api - begin, "memory": memory_of(os.getpid())}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
