import { describe, expect, it } from 'vitest';
import { findKnownAgent } from '../../../src/cli/exec/known-agent.ts';

describe('findKnownAgent', () => {
  it.each([
    ['claude -p hi', 'claude-code', 0],
    ['/usr/local/bin/claude', 'claude-code', 0],
    [String.raw`C:\tools\codex.cmd exec`, 'codex', 0],
    ['npx -y @openai/codex@latest exec hi', 'codex', 2],
    ['npx -p @openai/codex codex exec hi', 'codex', 3],
    ['npx --package=@openai/codex -- codex', 'codex', 3],
    ['pnpm dlx opencode-ai', 'opencode', 2],
    ['npm exec -- cline', 'cline', 3],
    ['uvx --from aider-chat aider', 'aider', 3],
    ['uv tool run --python 3.12 aider-chat==0.86.2', 'aider', 5],
    ['cn -p hi', 'continue', 0],
    ['goose run', 'goose', 0],
  ] as const)('knows `%s`', (line, client, index) => {
    expect(findKnownAgent(line.split(' '))).toEqual({ client, index });
  });

  it.each(['python app.py', 'node claude', 'npm run claude', 'npx tsx claude', 'npx', 'claude-like', ''])(
    'takes `%s` for no agent',
    (line) => {
      expect(findKnownAgent(line.split(' '))).toBeUndefined();
    },
  );
});
