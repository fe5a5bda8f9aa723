#!/usr/bin/env bash
# Fails when a password of a test stack stands in the given logs. The stacks' makers append every secret that they hand out to the
# file that CARETAKER_TEST_SECRETS names.
set -euo pipefail
secrets="${CARETAKER_TEST_SECRETS:?names the file with the secrets of the test stacks}"
[ -s "$secrets" ] || { echo "no secret was handed out: nothing was tested" >&2; exit 1; }
sort -u -o "$secrets" "$secrets"
if grep -F -n -f "$secrets" "$@"; then
    echo "a secret of a test stack is in the output" >&2
    exit 1
fi
echo "$(wc -l <"$secrets") secrets of test stacks, none in the output"
