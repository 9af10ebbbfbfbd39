import { describe, expect, it } from 'vitest';
import { findCommandName, nameCommands } from '../../src/lib/command-name.ts';

describe('the name of the command', () => {
  it.each([
    { name: 'installed', environment: {}, shown: 'bedrock-proxy' },
    { name: 'a script of npm', environment: { npm_command: 'run-script' }, shown: 'bedrock-proxy' },
    {
      name: 'npx',
      environment: { npm_command: 'exec', npm_config_user_agent: 'npm/11.0.0 node/v24.0.0' },
      shown: 'npx bedrock-proxy',
    },
    { name: 'an older npx', environment: { npm_lifecycle_event: 'npx' }, shown: 'npx bedrock-proxy' },
    {
      name: 'bunx',
      environment: { npm_command: 'exec', npm_lifecycle_event: 'bunx', npm_config_user_agent: 'bun/1.3.0' },
      shown: 'bunx bedrock-proxy',
    },
    {
      name: 'pnpm dlx',
      environment: { npm_command: 'dlx', npm_config_user_agent: 'pnpm/10.0.0' },
      shown: 'pnpm dlx bedrock-proxy',
    },
    {
      name: 'pnpm exec',
      environment: { npm_command: 'exec', npm_config_user_agent: 'pnpm/10.0.0' },
      shown: 'pnpm exec bedrock-proxy',
    },
  ])('is what the user has to type: $name', ({ environment, shown }) => {
    expect(findCommandName(environment)).toBe(shown);
  });

  it.each([
    ['Make a key first (`bedrock-proxy key generate`).', 'Make a key first (`npx bedrock-proxy key generate`).'],
    ['  $ bedrock-proxy start', '  $ npx bedrock-proxy start'],
    ['  $ eval "$(bedrock-proxy env)"', '  $ eval "$(npx bedrock-proxy env)"'],
    ['bedrock-proxy 0.1.0', 'bedrock-proxy 0.1.0'],
    ['A newer bedrock-proxy has written it.', 'A newer bedrock-proxy has written it.'],
    ['/usr/lib/bedrock-proxy start', '/usr/lib/bedrock-proxy start'],
  ])('stands in %j', (text, shown) => {
    expect(nameCommands(text, { npm_command: 'exec' })).toBe(shown);
    expect(nameCommands(text, {})).toBe(text);
  });
});
