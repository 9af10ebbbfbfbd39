#!/bin/sh
# Claude Code with a key of its own: $25 in 30 days, and enough requests at once for /context.
# The key stays; `bedrock-proxy usage --key claude` says what it spent.
set -eu
npx bedrock-proxy key show claude >/dev/null 2>&1 ||
  npx bedrock-proxy key generate --alias claude --budget 25 --budget-window 30d --rpm 120 --max-parallel 40 --quiet >/dev/null
eval "$(npx bedrock-proxy env --for claude-code --key claude)"
exec claude "$@"
