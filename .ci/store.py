"""Runs the store's tests against moto: a DynamoDB and a Secrets Manager by other people, in another language.

Usage: store.py, by the Python in which moto is installed. Arguments go to the tests.
"""

import logging
import os
import subprocess
import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


class OneAtATime:
    """moto checks a condition and writes in two steps, without a lock; DynamoDB does both in one. Nor does it refuse
    a writer that meets a transaction, which DynamoDB may: the callers treat both refusals alike.
    """

    def __init__(self, app):
        self.app = app
        self.lock = threading.Lock()

    def __call__(self, environment, start):
        with self.lock:
            return list(self.app(environment, start))


def main(*arguments):
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    endpoints = {"STORE_TEST_DYNAMODB_URL": address, "STORE_TEST_SECRETS_MANAGER_URL": address}
    command = ["cargo", "test", "--locked", "-p", "local", "--test", "store", "--", *arguments]
    return subprocess.run(command, env=os.environ | endpoints).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
