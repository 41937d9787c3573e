"""Shows that `cargo lambda watch` serves what `cargo run` serves: every GET route, asked at both.

Usage: watch.py CARGO_LAMBDA FOLDER. The folder is the data folder of the run that is started here.
"""

import pathlib
import sys

from running import COOKIE, Processes, ask, free_port, listens

# What differs from answer to answer, or from one JWT to the next.
VARYING = {"apigw-requestid", "connection", "content-length", "date", "etag", "location", "set-cookie"}


def get(base, path, headers):
    status, named, body = ask("GET", base + path, headers)
    kept = {
        name: value
        for name, value in named
        if name not in VARYING and not name.startswith(("x-ratelimit-", "x-github-request-"))
    }
    return status, kept, body


def compare(gateway, watch, ready):
    key = {"X-Session-API-Key": ready["api_key"]}
    session = {"Cookie": COOKIE + ready["session_cookie"]}
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
        ("/openapi.json", {}),
        ("/docs", {}),
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
    with Processes() as processes:
        ready = processes.cargo_run(folder)
        port = free_port()
        processes.start(
            f"{folder}.watch.log",
            *(cargo_lambda, "lambda", "watch", "--env-file", str(folder / "functions.env")),
            *("--invoke-address", "127.0.0.1", "--invoke-port", str(port)),
            *("--ignore-changes", "--disable-cors"),
        )
        processes.wait_for("cargo lambda watch", lambda: listens(port))
        compare(ready["url"], f"http://127.0.0.1:{port}", ready)


if __name__ == "__main__":
    main(*sys.argv[1:])
