#!/usr/bin/env bash
# Builds the binary of random programs (tests/soak.rs) and runs it, so that the log names the
# commit, and what was not committed.
#
#   ci/parts/soak.sh [CARGO OPTION]...
#
# How long it runs is in the environment, see tests/soak.rs.
set -euo pipefail
cd "$(dirname "$0")/../.."

built=$(cargo test -p corepool --test soak --no-run --message-format json "$@")
binary=$(python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "soak":
        print(message["executable"])
' <<<"$built")
commit=$(git describe --always --dirty 2>/dev/null || echo 'no repository')
echo "soak of $commit, begun $(date -u '+%F %T') UTC"
exec "$binary"
