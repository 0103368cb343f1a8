#!/bin/sh
# Submits a call with curl, waits for its result, and submits a wrong call.
#
#     sh producer.sh http://127.0.0.1:8460

set -eu
api="${1:?the URL of the server is missing}/api/v1"

# If a request fails, it can be repeated: the idempotency key makes it the same call.
curl --silent --show-error --fail --retry 3 "$api/invocations" \
    --header 'Content-Type: application/json' \
    --data '{"task": "add", "arguments": {"x": 1, "y": 2}, "idempotency_key": "shell-1", "wait": "30s"}'
echo

# A wrong call isn't accepted. The reply says what is wrong with it.
curl --silent --show-error "$api/invocations" \
    --header 'Content-Type: application/json' \
    --data '{"task": "add", "arguments": {"x": 1}}'
echo
