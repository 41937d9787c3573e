"""What the checks that run the service share: processes that end with the check, and HTTP without proxies,
redirects or any opinion on a status.
"""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

# Starting includes compiling what the tests have not compiled.
PATIENCE = 600
# How much of each log is shown when a check fails.
LINES = 40
COOKIE = "neptun-session="


class Processes:
    """Processes that end, with what they started, when the block ends; the last lines of their logs are shown if it fails."""

    def __init__(self):
        self.running = []
        self.logs = []

    def __enter__(self):
        return self

    def __exit__(self, problem, *_):
        for process in reversed(self.running):
            stop(process)
        if problem:
            for log in self.logs:
                last = log.read_text(errors="replace").splitlines()[-LINES:]
                print(f"\n{log}:", *last, sep="\n", file=sys.stderr)

    def start(self, log, *command, env=None):
        log = pathlib.Path(log)
        self.logs.append(log)
        # A group of its own, so that what it starts ends with it.
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, start_new_session=True
            )
        self.running.append(process)
        return process

    def wait_for(self, what, ready):
        deadline = time.monotonic() + PATIENCE
        while not ready():
            if any(process.poll() is not None for process in self.running):
                raise SystemExit(f"{what}: it has ended")
            if time.monotonic() > deadline:
                raise SystemExit(f"{what}: nothing after {PATIENCE} s")
            time.sleep(0.05)

    def cargo_run(self, folder):
        """The service with this data folder, begun anew: what its ready.json says."""
        # An old run's must not be taken for this one's.
        (folder / "ready.json").unlink(missing_ok=True)
        command = ("cargo", "run", "--locked", "--", "--port", "0", "--fresh", "--data", str(folder))
        self.start(f"{folder}.run.log", *command)
        self.wait_for("cargo run", (folder / "ready.json").exists)
        return json.loads((folder / "ready.json").read_text())


def stop(process):
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    except ProcessLookupError:
        process.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def listens(port):
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def ask(method, url, headers=(), body=None):
    """The answer's status, its headers in lower case as pairs, and its body."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE)
    try:
        path = parts.path + ("?" + parts.query if parts.query else "")
        connection.request(method, path, body=body, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, [(name.lower(), value) for name, value in answer.getheaders()], answer.read()
    finally:
        connection.close()
