"""Shows that `cargo lambda watch` serves what `cargo run` serves: every GET route, asked at both.

Usage: watch.py CARGO_LAMBDA FOLDER. The folder is the data folder of the run that is started here.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

# Starting includes compiling what the tests have not compiled.
PATIENCE = 600
# What differs from answer to answer, or from one JWT to the next.
VARYING = {"apigw-requestid", "connection", "content-length", "date", "etag", "location", "set-cookie"}


def start(log, *command):
    # A group of its own, so that what it starts ends with it.
    with open(log, "wb") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )


def stop(process):
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def wait_for(what, ready, *processes):
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if any(process.poll() is not None for process in processes):
            raise SystemExit(f"{what}: it has ended")
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: nothing after {PATIENCE} s")
        time.sleep(0.1)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def listens(port):
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirects)


def get(base, path, headers):
    try:
        answer = OPENER.open(urllib.request.Request(base + path, headers=headers), timeout=PATIENCE)
    except urllib.error.HTTPError as refusal:
        answer = refusal
    named = {name.lower(): value for name, value in answer.headers.items()}
    kept = {
        name: value
        for name, value in named.items()
        if name not in VARYING and not name.startswith(("x-ratelimit-", "x-github-request-"))
    }
    return answer.status, kept, answer.read()


def compare(gateway, watch, ready):
    key = {"X-Session-API-Key": ready["api_key"]}
    session = {"Cookie": "neptun-session=" + ready["session_cookie"]}
    requests = [
        ("/api/user/installations?provider=github", key),
        ("/api/user/installations", key),
        ("/api/user/repositories?selected_provider=github&page=1&per_page=2", key),
        ("/user/installations?per_page=1", key),
        ("/users/octocat/installation", key),
        ("/users/a%2fb/installation", key),
        (f"/api/users/{ready['user_id']}/installations", key),
        ("/api/keys", key),
        ("/api/keys", {}),
        ("/auth/session", session),
        ("/auth/github/login", {}),
        ("/auth/github/callback?code=1&state=2", {}),
        ("/auth/github/setup?installation_id=1", session),
    ]
    for path, headers in requests:
        expected, found = get(gateway, path, headers), get(watch, path, headers)
        if expected != found:
            raise SystemExit(f"{path}\n  cargo run:          {expected}\n  cargo lambda watch: {found}")
        print(f"  {found[0]} {path.split('?')[0]}")


def main(cargo_lambda, folder):
    folder = pathlib.Path(folder).absolute()
    running = []
    logs = [f"{folder}.run.log", f"{folder}.watch.log"]
    try:
        # An old run's must not be taken for this one's.
        (folder / "ready.json").unlink(missing_ok=True)
        running.append(
            start(logs[0], "cargo", "run", "--locked", "--", "--port", "0", "--fresh", "--data", str(folder))
        )
        wait_for("cargo run", (folder / "ready.json").exists, *running)
        ready = json.loads((folder / "ready.json").read_text())
        port = free_port()
        running.append(
            start(
                logs[1],
                *(cargo_lambda, "lambda", "watch", "--env-file", str(folder / "functions.env")),
                *("--invoke-address", "127.0.0.1", "--invoke-port", str(port)),
                *("--ignore-changes", "--disable-cors"),
            )
        )
        wait_for("cargo lambda watch", lambda: listens(port), *running)
        compare(ready["url"], f"http://127.0.0.1:{port}", ready)
    except BaseException:
        for log in logs:
            if os.path.exists(log):
                sys.stderr.write(pathlib.Path(log).read_text(errors="replace"))
        raise
    finally:
        for process in reversed(running):
            stop(process)


if __name__ == "__main__":
    main(*sys.argv[1:])
