"""Shows that every built function answers every event of events/ under AWS's Runtime Interface Emulator as
`cargo run` answers the same request at its gateway, and prints what each function takes.

Two services run, begun alike. One is asked over HTTP; behind the other's AWS endpoints and sandbox hosts the built
functions run, each under an emulator of its own. Both get the same events in the same order, so that what an event
changes is changed at both, and answers are the same but for what is random or a time.

Usage: emulator.py BUILT FOLDER, by the Python in which aws-sam-cli is installed. BUILT holds the functions' programs;
the services' data folders and all logs go to FOLDER.
"""

import base64
import datetime
import gzip
import importlib.resources
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import urllib.parse

from running import COOKIE, Processes, ask, free_port, listens

INVOKE = "/2015-03-31/functions/function/invocations"
# What stands in the events where the demo user's own belongs.
USER = re.compile(r"usr_[0-9A-HJKMNP-TV-Z]{26}")
KEY = re.compile(r"key_[0-9A-HJKMNP-TV-Z]{26}")
TOKEN = "replace-with-a-github-user-access-token"
# Who the demo user is at the sandbox hosts.
LOGINS = {
    "github": "octocat",
    "gitlab": "gitlab-cat",
    "bitbucket": "bitbucket-cat",
    "enterprise_sso": "sso-cat",
}
# These end what other events need, and come last, in this order.
ENDING = (
    "github-webhook.installation-deleted",
    "connections.unset-provider-tokens",
    "sign-in.logout",
    "github-webhook.authorization-revoked",
)
# Made for one connection or one answer, or by another part than the function.
VARYING = {"apigw-requestid", "connection", "content-length", "date", "etag", "transfer-encoding"}
VARYING_PREFIXES = ("x-ratelimit-", "x-github-request-")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
# A key is recognised by its beginning.
RANDOM = re.compile(r"[0-9A-Za-z_-]{20,}|\bgik_[0-9A-Za-z_-]{4}\b")


class World:
    """A service that runs, and where its values are random, what they stand for."""

    def __init__(self, processes, folder):
        self.folder = folder
        self.ready = processes.cargo_run(folder)
        self.settings = json.loads((folder / "functions.json").read_text())["Parameters"]
        own = [(name, form(value)) for name, value in self.ready.items() for form in (str, quoted)]
        # Longer ones first: an address may be the beginning of another.
        self.own = sorted(own, key=lambda pair: -len(pair[1]))

    def ask(self, method, path, headers=(), body=None):
        return ask(method, self.ready["url"] + path, headers, body)

    def session(self):
        return COOKIE + self.ready["session_cookie"]

    def masked(self, value):
        """A value of an answer as it is in every world."""
        if isinstance(value, dict):
            return {name: self.masked(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.masked(inner) for inner in value]
        if isinstance(value, str):
            for name, own in self.own:
                value = value.replace(own, f"<{name}>")
            return RANDOM.sub(masked_word, TIME.sub(masked_time, value))
        if isinstance(value, int) and is_about_now(value):
            return "<time>"
        return value


def quoted(value):
    return urllib.parse.quote(value, safe="")


def is_about_now(seconds):
    return abs(seconds - datetime.datetime.now().timestamp()) < 24 * 3600


def masked_time(match):
    seconds = datetime.datetime.fromisoformat(match[0].replace("Z", "+00:00")).timestamp()
    return "<time>" if is_about_now(seconds) else match[0]


def masked_word(match):
    # Words of ours are long too; what is random has digits or capitals.
    return "<random>" if re.search(r"[0-9A-Z]", match[0]) else match[0]


def is_http(event):
    return "requestContext" in event


def order(named):
    """Reads first, then changes, then what ends the means of others."""
    name, event = named
    if name in ENDING:
        return 2, ENDING.index(name)
    return (0 if is_http(event) and event["routeKey"].startswith("GET ") else 1), 0


def made_real(event, world):
    """The event with the demo user's own in place of the placeholders, as it comes to this world."""
    if not is_http(event):
        return event
    text = USER.sub(world.ready["user_id"], json.dumps(event))
    event = json.loads(KEY.sub(lambda _: first_key(world), text))
    host = world.ready["url"].removeprefix("http://")
    event["headers"]["host"] = host
    event["requestContext"]["domainName"] = host.split(":")[0]
    if "origin" in event["headers"]:
        event["headers"]["origin"] = world.ready["url"]
    if "authorization" in event["headers"]:
        event["headers"]["authorization"] = event["headers"]["authorization"].replace(TOKEN, world.ready["api_key"])
    if any(cookie.startswith(COOKIE) for cookie in event.get("cookies", [])):
        event["cookies"] = [world.session()]
    if event["routeKey"] == "GET /auth/{provider}/callback":
        came_back(event, world)
    return event


def first_key(world):
    _, _, keys = world.ask("GET", "/api/keys", {"cookie": world.session()})
    return json.loads(keys)[0]["id"]


def came_back(event, world):
    """Signs in at the sandbox host as far as the way back, which is the event."""
    provider = event["pathParameters"]["provider"]
    _, headers, _ = world.ask("GET", f"/auth/{provider}/login")
    headers = dict(headers)
    page, query = headers["location"].split("?")
    form = {"content-type": "application/x-www-form-urlencoded"}
    _, chosen, _ = ask("POST", page, form, f"{query}&choice={LOGINS[provider]}")
    event["rawQueryString"] = urllib.parse.urlsplit(dict(chosen)["location"]).query
    event["queryStringParameters"] = dict(urllib.parse.parse_qsl(event["rawQueryString"]))
    event["cookies"] = [headers["set-cookie"].split(";")[0]]


def body_of(message):
    body = message.get("body") or ""
    return base64.b64decode(body) if message.get("isBase64Encoded") else body.encode()


def over_http(event, world):
    """What the gateway answers to the request that the event is of."""
    path = event["rawPath"] + ("?" + event["rawQueryString"] if event["rawQueryString"] else "")
    # The gateway adds what API Gateway has added to the event.
    headers = {
        name: value
        for name, value in event["headers"].items()
        if not name.startswith(("x-forwarded-", "x-amzn-")) and name != "content-length"
    }
    if "cookies" in event:
        headers["cookie"] = "; ".join(event["cookies"])
    status, headers, body = world.ask(event["requestContext"]["http"]["method"], path, headers, body_of(event) or None)
    return comparable(world, status, headers, body)


def from_function(text, world):
    """What the function's answer is after API Gateway."""
    answer = json.loads(text)
    if "statusCode" not in answer:
        return answer
    headers = [(name.lower(), value) for name, value in answer["headers"].items()]
    headers += [("set-cookie", cookie) for cookie in answer["cookies"]]
    return comparable(world, answer["statusCode"], headers, body_of(answer))


def comparable(world, status, headers, body):
    kept = sorted(
        (name, world.masked(value))
        for name, value in headers
        if name not in VARYING and not name.startswith(VARYING_PREFIXES)
    )
    if ("content-encoding", "gzip") in headers:
        body = gzip.decompress(body)
    try:
        body = json.loads(body)
    except ValueError:
        body = body.decode()
    # As text, because clients rely on the order of the names too.
    return {"status": status, "headers": kept, "body": json.dumps(world.masked(body), ensure_ascii=False)}


def reconciled(event, world):
    """What the function answers that has no route, in this program's own process."""
    command = ["cargo", "run", "--quiet", "--locked", "--", "reconcile", "--data", str(world.folder)]
    command += ["--full"] if event["full"] else []
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


class Function:
    """A built function under an emulator of its own."""

    def __init__(self, processes, binary, world, folder):
        self.binary = binary
        self.log = folder / f"{binary.name}.log"
        self.port = free_port()
        listening = ["--runtime-interface-emulator-address", f"127.0.0.1:{self.port}"]
        listening += ["--runtime-api-address", f"127.0.0.1:{free_port()}"]
        settings = {
            "AWS_LAMBDA_FUNCTION_NAME": binary.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
        }
        # Nothing of this machine's environment: a function has only what the template gives it.
        self.emulator = processes.start(
            self.log, emulator(), "--log-level", "info", *listening, str(binary), env=world.settings | settings
        )
        processes.wait_for(f"the emulator of {binary.name}", lambda: listens(self.port))

    def invoke(self, event):
        status, _, body = ask("POST", f"http://127.0.0.1:{self.port}{INVOKE}", body=json.dumps(event))
        if status != 200 or b'"errorType"' in body:
            raise SystemExit(f"{self.binary.name} failed: {status} {body.decode()}")
        return body

    def row(self):
        """Name, bytes, milliseconds of INIT, and the most memory that it had, in KiB."""
        init = re.search(r"INIT REPORT\(durationMs: ([0-9.]+)", self.log.read_text())
        threads = pathlib.Path(f"/proc/{self.emulator.pid}/task").glob("*/children")
        (bootstrap,) = (pid for thread in threads for pid in thread.read_text().split())
        peak = re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{bootstrap}/status").read_text())
        return self.binary.name, self.binary.stat().st_size, float(init[1]), int(peak[1])


def emulator():
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    found = importlib.resources.files("samcli") / "local" / "rapid" / f"aws-lambda-rie-{machine}"
    # pip keeps what the wheel says of it, which is not that it is a program.
    os.chmod(found, 0o755)
    return str(found)


def main(built, folder):
    built, folder = pathlib.Path(built).absolute(), pathlib.Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(path.name for path in pathlib.Path("functions").iterdir() if (path / "Cargo.toml").exists())
    events = [(path.stem, json.loads(path.read_text())) for path in sorted(pathlib.Path("events").glob("*.json"))]
    without = set(names) - {name.split(".")[0] for name, _ in events}
    if without:
        raise SystemExit(f"no event for {', '.join(sorted(without))}")
    differences = 0
    with Processes() as processes:
        gateway, behind = World(processes, folder / "gateway"), World(processes, folder / "functions")
        functions = {name: Function(processes, built / name, behind, folder) for name in names}
        for name, event in sorted(events, key=order):
            asked = made_real(event, gateway)
            expected = over_http(asked, gateway) if is_http(event) else reconciled(asked, gateway)
            found = from_function(functions[name.split(".")[0]].invoke(made_real(event, behind)), behind)
            print(f"  {found.get('status', '  -')} {name}")
            if expected != found:
                differences += 1
                print(f"    the gateway:  {expected}\n    the function: {found}", file=sys.stderr)
        print(f"\n  {'function':<26}{'bytes':>10}{'INIT ms':>9}{'peak KiB':>10}")
        for function in functions.values():
            name, size, init, peak = function.row()
            print(f"  {name:<26}{size:>10}{init:>9.1f}{peak:>10}")
    if differences:
        raise SystemExit(f"{differences} of {len(events)} events are answered otherwise")


if __name__ == "__main__":
    main(*sys.argv[1:])
