import { Chalk } from 'chalk';
import { describe, expect, it } from 'vitest';
import {
  type BannerFacts,
  baseUrl,
  describeApiKey,
  describeCredentials,
  formatBanner,
  formatCommands,
} from '../../src/app/banner.ts';

const PLAIN = new Chalk({ level: 0 });
const FACTS: BannerFacts = {
  version: '1.2.3',
  host: 'localhost',
  port: 4000,
  mountPath: '/bedrock',
  region: { name: 'eu-west-1', origin: '--region' },
  credentials: 'profile dev (AWS SSO)',
  access: 'open',
  upstream: undefined,
  databasePath: '/data/keys.db',
};

describe('the URL for clients', () => {
  it.each([
    { host: 'localhost', url: 'http://localhost:4000/bedrock' },
    { host: '127.0.0.1', url: 'http://127.0.0.1:4000/bedrock' },
    { host: '0.0.0.0', url: 'http://localhost:4000/bedrock' },
    { host: '::', url: 'http://localhost:4000/bedrock' },
    { host: '::1', url: 'http://[::1]:4000/bedrock' },
    { host: 'dev.example', url: 'http://dev.example:4000/bedrock' },
    { host: '192.168.1.7', url: 'http://192.168.1.7:4000/bedrock' },
    { host: 'fd00::7', url: 'http://[fd00::7]:4000/bedrock' },
  ])('shows clients of the host $host the URL $url', ({ host, url }) => {
    expect(baseUrl({ host, port: 4000, mountPath: '/bedrock' })).toBe(url);
  });
});

describe('the banner', () => {
  it('shows address, region, credentials, keys and database, and ends with lines to paste', () => {
    const banner = formatBanner(FACTS, PLAIN);
    expect(banner).toContain('bedrock-proxy 1.2.3');
    for (const [name, value] of [
      ['address', 'http://localhost:4000/bedrock'],
      ['region', 'eu-west-1 (--region)'],
      ['credentials', 'profile dev (AWS SSO)'],
      ['database', '/data/keys.db'],
    ] as const) {
      expect(banner).toMatch(new RegExp(`^  ${name} +${value.replaceAll(/[().]/g, '\\$&')}$`, 'm'));
    }
    expect(banner).toContain('  curl http://localhost:4000/bedrock/model/');
    expect(banner).toContain('region_name="eu-west-1",\n    endpoint_url="http://localhost:4000/bedrock",\n');
    expect(banner.split('\n').filter((line) => line.length > 80 && !line.includes('not required'))).toEqual([]);
    expect(banner).not.toContain('upstream');
  });

  it('has a curl line that cmd and PowerShell both take, on Windows', () => {
    const lines = formatCommands({ ...FACTS, access: 'keys' }, PLAIN, 'win32').split('\n');
    expect(lines).toContain(
      '  curl.exe -H "Authorization: Bearer sk-YOUR-KEY" http://localhost:4000/bedrock/foundation-models',
    );
    expect(lines.filter((line) => /'|\\$/.test(line))).toEqual([]);
  });

  it.each([
    { access: 'open', key: 'anything', says: 'not required' },
    { access: 'keys', key: 'sk-YOUR-KEY', says: 'required (`bedrock-proxy key list`)' },
    { access: 'master', key: 'sk-YOUR-KEY', says: 'the master key or a virtual key' },
  ] as const)('says who may come in: $access', ({ access, key, says }) => {
    const banner = formatBanner({ ...FACTS, access }, PLAIN);
    expect(banner).toContain(says);
    expect(banner).toContain(`aws_secret_access_key="${key}")\n`);
    expect(banner).toContain(`'Authorization: Bearer ${key}'`);
  });

  it('says where TLS is spoken and what to trust', () => {
    const banner = formatBanner({ ...FACTS, tls: { caFile: '/data/tls-ca.pem' } }, PLAIN);
    expect(banner).toMatch(/^  with tls +https:\/\/localhost:4000\/bedrock\n  to trust +\/data\/tls-ca\.pem$/m);
    expect(formatBanner({ ...FACTS, tls: { caFile: undefined } }, PLAIN)).toContain('the authority of --tls-cert');
    expect(formatBanner(FACTS, PLAIN)).not.toContain('https:');
  });

  it('says when requests have to name a region, and that the upstream is another one', () => {
    const banner = formatBanner({ ...FACTS, region: undefined, upstream: 'http://127.0.0.1:9' }, PLAIN);
    expect(banner).toContain('none: requests have to name one (or set --region)');
    expect(banner).toMatch(/^  upstream +http:\/\/127\.0\.0\.1:9$/m);
  });
});

describe('how long credentials last', () => {
  it.each([
    { minutes: undefined, words: 'env' },
    { minutes: 42, words: 'env, for another 42 min' },
    { minutes: 119, words: 'env, for another 119 min' },
    { minutes: 125, words: 'env, for another 2 h 5 min' },
    { minutes: -5, words: 'env, for another 0 min' },
  ])('says that credentials last for $minutes minutes', ({ minutes, words }) => {
    const expiresAtMs = minutes === undefined ? undefined : 1_000_000_000 + minutes * 60_000;
    expect(describeCredentials({ description: 'env', expiresAtMs }, 1_000_000_000)).toBe(words);
  });
});

describe('an API key', () => {
  const NOW = 1_000_000_000;
  it.each([
    {
      minutes: undefined,
      beside: undefined,
      words: /^Bedrock API key \(AWS_BEARER_TOKEN_BEDROCK\); no AWS credentials, so /,
    },
    { minutes: 190, beside: undefined, words: /, for another 3 h 10 min; no AWS credentials/ },
    {
      minutes: 42,
      beside: 'profile dev (AWS SSO)',
      words: /, for another 42 min; beside it, .*: profile dev \(AWS SSO\)$/,
    },
    { minutes: 0, beside: 'env', words: /\(AWS_BEARER_TOKEN_BEDROCK\), expired; beside it/ },
  ])('shows an API key for $minutes minutes, beside $beside', ({ minutes, beside, words }) => {
    const expiresAtMs = minutes === undefined ? undefined : NOW + minutes * 60_000;
    expect(describeApiKey(expiresAtMs, beside, NOW)).toMatch(words);
  });
});
