import { describe, expect, it } from 'vitest';
import {
  CLIENTS,
  type ClientName,
  describeClient,
  formatAwsProfile,
  type SettingsInput,
} from '../../../src/cli/env/client-settings.ts';

const URL_HERE = 'http://localhost:4000/bedrock';
const PAIR = { AWS_ACCESS_KEY_ID: 'BRPXAAAA', AWS_SECRET_ACCESS_KEY: 'sk-secret' };
const EVERY_ENDPOINT = {
  AWS_ENDPOINT_URL_BEDROCK_RUNTIME: URL_HERE,
  AWS_ENDPOINT_URL_BEDROCK: URL_HERE,
  AWS_ENDPOINT_URL_BEDROCK_AGENT: URL_HERE,
  AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME: URL_HERE,
  AWS_ENDPOINT_URL_BEDROCK_AGENTCORE: URL_HERE,
  AWS_ENDPOINT_URL_BEDROCK_AGENTCORE_CONTROL: URL_HERE,
  AWS_ENDPOINT_URL_BEDROCK_DATA_AUTOMATION: URL_HERE,
  AWS_ENDPOINT_URL_BEDROCK_DATA_AUTOMATION_RUNTIME: URL_HERE,
};
const ONE_REGION = { AWS_REGION: 'eu-west-1' };
const BOTH_REGIONS = { AWS_REGION: 'eu-west-1', AWS_DEFAULT_REGION: 'eu-west-1' };

function settingsOf(client: ClientName | undefined, more: Partial<SettingsInput> = {}) {
  const input = { client, url: URL_HERE, accessKeyId: 'BRPXAAAA', key: 'sk-secret', region: 'eu-west-1', ...more };
  const { set, unset, notes } = describeClient(input);
  return { set: Object.fromEntries(set), unset, notes };
}

const EXPECTED: readonly (readonly [ClientName | undefined, Record<string, string>])[] = [
  [undefined, { ...EVERY_ENDPOINT, ...PAIR, ...BOTH_REGIONS }],
  ['boto3', { ...EVERY_ENDPOINT, ...PAIR, ...BOTH_REGIONS }],
  ['aws-cli', { ...EVERY_ENDPOINT, ...PAIR, ...BOTH_REGIONS }],
  ['langchain', { ...EVERY_ENDPOINT, ...PAIR, ...BOTH_REGIONS }],
  ['js', { ...EVERY_ENDPOINT, ...PAIR, ...ONE_REGION }],
  ['go', { ...EVERY_ENDPOINT, ...PAIR, ...ONE_REGION }],
  ['java', { ...EVERY_ENDPOINT, ...PAIR, ...ONE_REGION }],
  [
    'claude-code',
    {
      CLAUDE_CODE_USE_BEDROCK: '1',
      ANTHROPIC_BEDROCK_BASE_URL: URL_HERE,
      AWS_ENDPOINT_URL_BEDROCK: URL_HERE,
      AWS_ENDPOINT_URL_BEDROCK_RUNTIME: URL_HERE,
      AWS_BEARER_TOKEN_BEDROCK: 'sk-secret',
      ...ONE_REGION,
    },
  ],
  ['anthropic', { ANTHROPIC_BEDROCK_BASE_URL: URL_HERE, ...PAIR, ...BOTH_REGIONS }],
  ['openai', { OPENAI_BASE_URL: `${URL_HERE}/openai/v1`, OPENAI_API_KEY: 'sk-secret' }],
  [
    'vercel',
    {
      AWS_ENDPOINT_URL_BEDROCK_RUNTIME: URL_HERE,
      AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME: URL_HERE,
      AWS_BEARER_TOKEN_BEDROCK: 'sk-secret',
      ...ONE_REGION,
    },
  ],
  ['litellm', { AWS_BEDROCK_RUNTIME_ENDPOINT: URL_HERE, AWS_REGION_NAME: 'eu-west-1', ...PAIR, ...BOTH_REGIONS }],
  ['aider', { AWS_BEDROCK_RUNTIME_ENDPOINT: URL_HERE, AWS_REGION_NAME: 'eu-west-1', ...PAIR, ...BOTH_REGIONS }],
  ['codex', { CODEX_PROXY_KEY: 'sk-secret' }],
  [
    'opencode',
    {
      OPENCODE_CONFIG_CONTENT: JSON.stringify({
        provider: { 'amazon-bedrock': { options: { endpoint: URL_HERE, region: 'eu-west-1' } } },
      }),
      AWS_BEARER_TOKEN_BEDROCK: 'sk-secret',
      ...ONE_REGION,
    },
  ],
  ['cline', { OPENAI_BASE_URL: `${URL_HERE}/openai/v1`, OPENAI_API_KEY: 'sk-secret' }],
  ['continue', { OPENAI_BASE_URL: `${URL_HERE}/openai/v1`, OPENAI_API_KEY: 'sk-secret' }],
  ['goose', { GOOSE_PROVIDER: 'aws_bedrock', ...EVERY_ENDPOINT, AWS_BEARER_TOKEN_BEDROCK: 'sk-secret', ...ONE_REGION }],
];

describe('describeClient', () => {
  it.each(EXPECTED)('sets for %s what that client reads, and nothing else', (client, expected) => {
    expect(settingsOf(client).set).toEqual(expected);
  });

  it('has a row for every client of --for', () => {
    expect(
      EXPECTED.map(([client]) => client)
        .filter(Boolean)
        .toSorted(),
    ).toEqual([...CLIENTS].toSorted());
  });

  it.each([undefined, 'boto3', 'js', 'go', 'anthropic', 'litellm'] as const)(
    'unsets for %s what would win over the pair or go beside it',
    (client) => {
      const { unset } = settingsOf(client);
      expect(unset).toEqual(expect.arrayContaining(['AWS_SESSION_TOKEN', 'AWS_PROFILE', 'AWS_BEARER_TOKEN_BEDROCK']));
    },
  );

  it.each(CLIENTS)('never unsets for %s what it sets', (client) => {
    const { set, unset } = settingsOf(client, { caFile: '/ca.pem' });
    expect(unset.filter((name) => name in set)).toEqual([]);
  });

  it('lets Claude Code send its key', () => {
    expect(settingsOf('claude-code').unset).toContain('CLAUDE_CODE_SKIP_BEDROCK_AUTH');
  });

  it('names no region if none is known', () => {
    expect(Object.keys(settingsOf('litellm', { region: undefined }).set).join()).not.toContain('REGION');
  });

  it.each<[ClientName | undefined, readonly string[]]>([
    [undefined, ['AWS_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS']],
    ['boto3', ['AWS_CA_BUNDLE']],
    ['js', ['NODE_EXTRA_CA_CERTS']],
    ['go', ['AWS_CA_BUNDLE']],
    ['java', []],
    ['claude-code', ['NODE_EXTRA_CA_CERTS']],
    ['openai', ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE']],
    ['litellm', ['AWS_CA_BUNDLE', 'REQUESTS_CA_BUNDLE', 'SSL_CERT_FILE']],
  ])('makes %s trust the proxy over TLS', (client, names) => {
    const { set } = settingsOf(client, { caFile: '/my ca.pem' });
    expect(Object.keys(set).filter((name) => set[name] === '/my ca.pem')).toEqual(names);
  });

  it.each(['codex', 'cline', 'continue'] as const)('says what %s needs beside variables, without the key', (client) => {
    const { obstacle } = describeClient({
      client,
      url: URL_HERE,
      accessKeyId: 'A',
      key: 'sk-secret',
      region: undefined,
    });
    expect(obstacle).toContain(`${URL_HERE}/openai/v1`);
    expect(obstacle).not.toContain('sk-secret');
  });

  it('says how Java is made to trust the proxy, and only over TLS', () => {
    expect(settingsOf('java').notes.join()).not.toContain('keytool');
    expect(settingsOf('java', { caFile: '/ca.pem' }).notes.join()).toContain('keytool -importcert');
  });
});

describe('formatAwsProfile', () => {
  it('sends every Bedrock service of the AWS profile to the proxy, and no other service', () => {
    const text = formatAwsProfile({ profile: 'dev', url: URL_HERE, command: 'bedrock-proxy x', region: 'us-east-1' });
    expect(text).toContain('[profile dev]\ncredential_process = bedrock-proxy x\nservices = dev\n');
    expect(text).toContain('[services dev]\nbedrock_runtime =\n  endpoint_url = http://localhost:4000/bedrock\n');
    expect(text).toContain('\nbedrock_agentcore_control =\n');
    expect(text).not.toMatch(/^endpoint_url/m);
  });
});
