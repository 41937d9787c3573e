"""What schemathesis must know beyond the document: which requests would end the run itself. document.py starts it and
sets the environment.
"""

import json
import os
import urllib.request

import schemathesis

URL, KEY = os.environ["SERVICE_URL"], os.environ["API_KEY"]


def ask(method, path):
    request = urllib.request.Request(URL + path, method=method, headers={"X-Session-API-Key": KEY})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return answer.read()


# The key that proves who asks in every request of the run; to end it would make all that follows 401.
OWN = next(key["id"] for key in json.loads(ask("GET", "/api/keys")) if KEY.startswith(key["prefix"]))


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = f"{case.method.upper()} {case.path}"
    if operation == "DELETE /api/keys/{id}" and case.path_parameters.get("id") == OWN:
        # A well-formed id that nobody has.
        case.path_parameters["id"] = "key_01ARZ3NDEKTSV4RRFFQ69G5FAV"


@schemathesis.hook
def after_call(context, case, response):
    # A user has 50 keys at most: room is made, so that what follows finds more than that refusal.
    if case.method.upper() == "POST" and case.path == "/api/keys" and response.status_code == 403:
        for key in json.loads(ask("GET", "/api/keys")):
            if key["id"] != OWN:
                ask("DELETE", f"/api/keys/{key['id']}")
