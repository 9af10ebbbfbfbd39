import { expect, it } from 'vitest';
import { openCli } from '../../helpers/cli.ts';

const UNKNOWN = /^note: No (?:model|region)/gm;

it.each([
  { flags: ['--models', 'anthropic.claude-hiku-*'], meant: 'anthropic.claude-haiku' },
  { flags: ['--models', 'amazon.nova-lyte-v1:0'], meant: 'amazon.nova-lite-v1:0' },
  { flags: ['--models', 'us.amazon.nova-lyte-v1:0'], meant: 'amazon.nova-lite-v1:0' },
  { flags: ['--regions', 'us-east1'], meant: 'us-east-1' },
  { flags: ['--regions', 'mars-*'], meant: undefined },
])('tells of a pattern that matches nothing known: $flags', async ({ flags, meant }) => {
  const cli = await openCli();
  for (const args of [
    ['key', 'generate', '--alias', 'a', ...flags],
    ['key', 'update', 'a', ...flags],
  ]) {
    const { code, stderr } = await cli.run(args);
    expect(code).toBe(0);
    expect(stderr.match(UNKNOWN)).toHaveLength(1);
    if (meant !== undefined) expect(stderr).toContain(`Did you mean ${meant}`);
  }
});

it('says nothing of patterns that match, of ARNs and of the ids of profiles', async () => {
  const patterns = [
    '*claude-haiku*',
    'anthropic.*',
    'eu.anthropic.*',
    'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
    'bedrock/amazon.nova-lite-v1:0',
    'amazon.nova-lite-v1:0',
    'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6',
    'a1b2c3d4e5f6',
    '*',
  ];
  const args = ['key', 'generate', '--models', ...patterns, '--regions', 'us-east-1', 'eu-*', '*'];
  expect((await (await openCli()).run(args)).stderr).not.toMatch(UNKNOWN);
});
