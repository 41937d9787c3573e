"""Shows that the service does what its document says: `cargo run`, its /openapi.json by the specification, and
schemathesis over every operation as the demo user. What schemathesis does not check, and why, stands in
schemathesis.toml.

Usage: document.py FOLDER [OPTION...], by the Python in which schemathesis is installed. The service's data folder and
all logs go to FOLDER. Options are schemathesis' own, for a longer run: --max-examples 500 --seed 1
"""

import json
import os
import pathlib
import subprocess
import sys

from openapi_spec_validator import validate

from running import Processes, ask

HERE = pathlib.Path(__file__).parent
EXAMPLES = ("--max-examples", "25")
# It takes from the demo user what all other operations ask with, and comes last.
ENDING = "unset_provider_tokens_api_unset_provider_tokens_post"


def schemathesis(folder, ready, title, *options):
    print(f"  {title}", flush=True)
    command = ("schemathesis", "--config-file", str(HERE / "schemathesis.toml"), "run", f"{ready['url']}/openapi.json")
    environment = {
        **os.environ,
        "SERVICE_URL": ready["url"],
        "API_KEY": ready["api_key"],
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    # It leaves a folder of its own where it runs.
    subprocess.run((*command, *options), env=environment, cwd=folder, check=True)


def main(folder, *options):
    folder = pathlib.Path(folder).absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Processes() as processes:
        ready = processes.cargo_run(folder)
        status, _, document = ask("GET", f"{ready['url']}/openapi.json")
        assert status == 200, document
        validate(json.loads(document))
        options = options or EXAMPLES
        run = (folder.parent, ready)
        schemathesis(*run, "every operation", *options, "--exclude-operation-id", ENDING)
        # Alone it has no other to follow.
        phases = ("--phases", "examples,coverage,fuzzing")
        schemathesis(*run, "what takes the tokens away", *options, *phases, "--include-operation-id", ENDING)


if __name__ == "__main__":
    main(*sys.argv[1:])
