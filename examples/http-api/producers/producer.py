"""Submits calls over the HTTP API with nothing but Python's standard library.

    python3 producer.py http://127.0.0.1:8460
"""

import json
import sys
import time
import urllib.error
import urllib.request


class Problem(Exception):
    """An error of the API (RFC 9457)."""

    def __init__(self, document):
        super().__init__(document["detail"])
        self.kind = document["kind"]
        self.retryable = document["retryable"]


class Client:
    def __init__(self, url, token=None):
        self.api = f"{url}/api/v1"
        self.headers = {"Content-Type": "application/json"}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def request(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api + path, data, self.headers)
        try:
            with urllib.request.urlopen(request) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise Problem(json.load(error)) from error

    def submit(self, task, key, **arguments):
        """Submits a call, and repeats the request until it is accepted or refused. The key makes it the same call."""
        call = {"task": task, "arguments": arguments, "idempotency_key": key}
        while True:
            try:
                return self.request("/invocations", call)["id"]
            except urllib.error.URLError:
                time.sleep(1)
            except Problem as problem:
                if not problem.retryable:
                    raise
                time.sleep(1)

    def outcome(self, invocation):
        """Waits for the outcome of an invocation."""
        while True:
            outcome = self.request(f"/invocations/{invocation}/outcome?wait=30s")
            if outcome["finished"]:
                return outcome


def main():
    client = Client(sys.argv[1])
    print("1 + 2 =", client.outcome(client.submit("add", "python-1", x=1, y=2))["value"])
    failed = client.outcome(client.submit("divide", "python-2", x=1, y=0))
    print("1 / 0:", failed["error"]["message"])
    try:
        client.submit("add", "python-1", x=1, y=3)
    except Problem as problem:
        print(f"{problem.kind}: {problem}")


if __name__ == "__main__":
    main()
