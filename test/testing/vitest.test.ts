/** `bedrock-proxy/vitest` as a test file has it: the proxy of its tests, and the variables that lead to it. */
import { BedrockRuntimeClient, ConverseCommand } from '@aws-sdk/client-bedrock-runtime';
import { afterAll, describe, expect, it } from 'vitest';
import { useOfflineBedrock } from '../../src/testing/vitest.ts';

const ENDPOINT = 'AWS_ENDPOINT_URL_BEDROCK_RUNTIME';
process.env['AWS_PROFILE'] = 'of-the-shell';
process.env[ENDPOINT] = 'http://of-the-shell.example/';

describe('useOfflineBedrock', () => {
  // Hooks that were registered first run last.
  afterAll(() => {
    expect([process.env['AWS_PROFILE'], process.env[ENDPOINT]]).toEqual([
      'of-the-shell',
      'http://of-the-shell.example/',
    ]);
    expect(() => bedrock.url).toThrow(/runs within tests and hooks only/);
    delete process.env['AWS_PROFILE'];
    delete process.env[ENDPOINT];
  });
  const bedrock = useOfflineBedrock({ script: { rules: [{ answer: { text: 'As told.' } }] } });
  expect(() => bedrock.url).toThrow(/runs within tests and hooks only/);

  it('leads a client that is told nothing to a proxy that answers by the script', async () => {
    const client = new BedrockRuntimeClient({});
    const messages = [{ role: 'user' as const, content: [{ text: 'Hello' }] }];
    const { output } = await client.send(new ConverseCommand({ modelId: 'amazon.nova-lite-v1:0', messages }));
    client.destroy();
    expect(output?.message?.content).toEqual([{ text: 'As told.' }]);
  });

  it('sets the variables of AWS SDKs, and none of the shell beside them', () => {
    expect(process.env).toMatchObject(bedrock.environment);
    expect(bedrock.environment[ENDPOINT]).toBe(bedrock.url);
    expect(bedrock.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/bedrock$/);
    expect(process.env['AWS_PROFILE']).toBeUndefined();
  });

  it('names a directory: after the test, in letters that are good in paths', () => {
    expect(bedrock.headers).toEqual({
      'x-bedrock-proxy-cassette':
        'useofflinebedrock-names-a-directory-after-the-test-in-letters-that-are-good-in-paths',
    });
  });
});
