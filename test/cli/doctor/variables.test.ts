import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { checkNetworkVariables, checkVariables } from '../../../src/cli/doctor/variables.ts';

const PORT = 4000;
const EXISTING = fileURLToPath(import.meta.url);

describe('checkVariables', () => {
  it.each([
    ['AWS_ENDPOINT_URL', 'http://localhost:4000/bedrock', 'fail', 'sends every AWS service here'],
    ['AWS_ENDPOINT_URL', 'http://localhost:4566', 'warn', 'sends every AWS service there'],
    ['AWS_ENDPOINT_URL_STS', 'http://127.0.0.1:4000/bedrock', 'fail', 'look-up of credentials to itself'],
    ['AWS_ENDPOINT_URL_SSO', 'http://127.0.0.1:1', 'warn', 'looks for credentials there'],
    ['AWS_ENDPOINT_URL_BEDROCK_RUNTIME', 'http://[::1]:4000/bedrock', 'ok', 'leads here'],
    ['AWS_ENDPOINT_URL_BEDROCK_RUNTIME', 'https://bedrock-runtime.us-east-1.amazonaws.com', 'warn', 'past the proxy'],
    ['AWS_ENDPOINT_URL_BEDROCK', 'http://localhost:4001/bedrock', 'warn', 'past the proxy'],
    ['AWS_ENDPOINT_URL_S3', 'http://localhost:9000', 'ok', "not Bedrock's"],
    ['ANTHROPIC_BEDROCK_BASE_URL', 'http://localhost:4000/bedrock', 'ok', 'leads here'],
    ['ANTHROPIC_BEDROCK_BASE_URL', 'https://gateway.example', 'warn', 'past the proxy'],
    ['AWS_BEARER_TOKEN_BEDROCK', 'sk-secret', 'ok', 'holds a virtual key'],
    ['AWS_BEARER_TOKEN_BEDROCK', 'bedrock-api-key-secret', 'warn', 'holds no virtual key'],
    ['AWS_ACCESS_KEY_ID', 'BRPXAAAA', 'warn', 'would sign with it'],
    ['CLAUDE_CODE_SKIP_BEDROCK_AUTH', '1', 'warn', 'send no key'],
    ['CLAUDE_CODE_USE_BEDROCK', '1', 'warn', 'past the proxy'],
    ['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS', 'true', 'warn', 'past the proxy'],
  ])('judges the variable %s=%s: %s', (name, value, status, words) => {
    const [result, ...others] = checkVariables({ [name]: value }, PORT);
    expect(others).toEqual([]);
    expect(result).toMatchObject({ name: 'variables', status, message: expect.stringContaining(words) });
    expect(result?.hint !== undefined).toBe(status !== 'ok');
    expect(JSON.stringify(result)).not.toContain('secret');
  });

  it.each([
    {},
    { AWS_ENDPOINT_URL: '' },
    { CLAUDE_CODE_USE_BEDROCK: '1', ANTHROPIC_BEDROCK_BASE_URL: 'http://localhost:4000/x' },
  ])('finds no fault with the variables %j', (environment) => {
    expect(checkVariables(environment, PORT).map(({ status }) => status)).toEqual(['ok']);
  });
});

describe('checkNetworkVariables', () => {
  it.each([
    { environment: {}, statuses: ['ok', 'ok'] },
    { environment: { HTTP_PROXY: 'http://p:1', NO_PROXY: 'localhost' }, statuses: ['ok', 'ok'] },
    { environment: { HTTP_PROXY: 'http://p:1' }, statuses: ['warn', 'ok'] },
    { environment: { https_proxy: 'http://p:1', no_proxy: 'localhost' }, statuses: ['ok', 'ok'] },
    { environment: { AWS_CA_BUNDLE: EXISTING }, statuses: ['ok', 'ok'] },
    { environment: { NODE_EXTRA_CA_CERTS: EXISTING, AWS_CA_BUNDLE: '/no/such.pem' }, statuses: ['ok', 'fail'] },
  ])('judges the network variables $environment: $statuses', ({ environment, statuses }) => {
    expect(checkNetworkVariables(environment).map(({ status }) => status)).toEqual(statuses);
  });

  it('does not show the password of a forward proxy', () => {
    const shown = JSON.stringify(checkNetworkVariables({ HTTPS_PROXY: 'http://me:secret@proxy:3128' }));
    expect(shown).toContain('//…@proxy:3128');
    expect(shown).not.toContain('secret');
  });
});
