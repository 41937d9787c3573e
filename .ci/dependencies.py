"""Checks licences, bans and sources of all crates against deny.toml, as `cargo deny check licenses bans sources`
does, which itself takes minutes to build. Works offline after `cargo fetch`.
"""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

RULES = tomllib.loads(pathlib.Path("deny.toml").read_text())
ALLOWED = set(RULES["licenses"]["allow"])
BANNED = {entry["name"] for entry in RULES["bans"]["deny"]}


def is_allowed(expression):
    """Whether an SPDX expression leaves a choice that is allowed. AND binds closer than OR (SPDX, annex D)."""
    tokens = re.findall(r"[()]|[^()\s]+(?:\s+WITH\s+[^()\s]+)?", expression.replace("/", " OR "))

    def either():
        found = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            found = both() or found
        return found

    def both():
        found = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            found = one() and found
        return found

    def one():
        token = tokens.pop(0)
        if token == "(":
            found = either()
            tokens.pop(0)
            return found
        return token in ALLOWED

    return either()


def problems(packages):
    for package in packages:
        name = f"{package['name']} {package['version']}"
        # No source is our own workspace; everything else comes from a registry, never from a repository.
        if package["source"] and not package["source"].startswith("registry+"):
            yield f"{name} comes from {package['source']}"
        if not is_allowed(package["license"] or "none"):
            yield f"{name} has the licence {package['license']}"
        if package["name"] in BANNED:
            yield f"{name} is banned"


def main():
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--offline"]
    # The functions' platform and this machine's.
    command += ["--filter-platform", "aarch64-unknown-linux-gnu", "--filter-platform", "x86_64-unknown-linux-gnu"]
    packages = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["packages"]
    found = list(problems(packages))
    for problem in found:
        print(f"error: {problem}; deny.toml says what is allowed", file=sys.stderr)
    print(f"{len(packages)} crates")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
