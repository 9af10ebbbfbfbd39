import { locateFile } from '../../src/config/database-location.ts';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Config, readConfig, readSaltKey, withoutSecrets } from '../../src/config/config.ts';
import { type Environment, type Flags, OPTIONS } from '../../src/config/options.ts';
import { failureOf } from '../helpers/failure.ts';

const read = (flags: Flags, environment: Environment = {}): Config => readConfig(flags, environment);

describe('with nothing given', () => {
  it('uses the documented defaults', () => {
    expect(read({}, { XDG_DATA_HOME: '/data' })).toEqual({
      host: 'localhost',
      hosts: ['localhost'],
      port: 4000,
      region: undefined,
      profile: undefined,
      database: locateFile('/data/bedrock-proxy/keys.db'),
      dataFolder: '/data/bedrock-proxy',
      masterKey: undefined,
      saltKey: undefined,
      offline: false,
      scriptFile: undefined,
      faults: [],
      faultInShared: false,
      inspect: false,
      inspectFile: undefined,
      inspectLimits: {},
      inspectRemote: false,
      inspectToken: undefined,
      endpointUrls: new Map(),
      fips: false,
      dualstack: false,
      upstreamsFile: undefined,
      fallbacks: [],
      failoverDeadlineMs: 30_000,
      openaiUpstream: 'runtime',
      network: { httpsProxy: undefined, httpProxy: undefined, noProxy: undefined, caFile: undefined },
      apiKey: undefined,
      ignoredVirtualKey: false,
      modelAliases: {},
      sessionTags: [],
      requestMetadata: false,
      tls: undefined,
      maxBodySizeBytes: 128_000_000,
      idleTimeoutMs: 3_900_000,
      streamIdleTimeoutMs: undefined,
      uploadIdleTimeoutMs: 60_000,
      workers: 1,
      ratesFallback: 'local',
      connectTimeoutMs: 10_000,
      staleKeysMs: 30_000,
      dbConnections: 10,
      shutdownGraceMs: 30_000,
      shutdownDelayMs: 0,
      allowedHosts: [],
      trustedProxies: [],
      allowedOrigins: [],
      pricesFile: undefined,
      ledgerRetentionMs: 90 * 86_400_000,
      responseHeaders: true,
      cutsEnded: true,
      logFormat: 'pretty',
      quiet: false,
      configFiles: [],
    });
  });

  it('gives a frozen configuration', () => {
    expect(Object.isFrozen(read({}))).toBe(true);
  });

  it('takes empty variables for unset ones', () => {
    const empty = Object.fromEntries(Object.values(OPTIONS).flatMap(({ env }) => env.map((name) => [name, ''])));
    expect(read({}, { ...empty, BEDROCK_PROXY_MASTER_KEY: '', BEDROCK_PROXY_SALT_KEY: '' })).toEqual(read({}));
  });
});

interface PrecedenceRow {
  readonly field: keyof Config;
  readonly flag: Flags;
  readonly env: Environment;
  readonly fromFlag: unknown;
  readonly fromEnv: unknown;
}

/** One row per option: what the flag gives although the variable is set, and what the variable gives on its own. */
const PRECEDENCE: readonly PrecedenceRow[] = [
  { field: 'port', flag: { port: '1' }, env: { BEDROCK_PROXY_PORT: '2' }, fromFlag: 1, fromEnv: 2 },
  {
    field: 'host',
    flag: { host: ['::1'] },
    env: { BEDROCK_PROXY_HOST: '0.0.0.0' },
    fromFlag: '::1',
    fromEnv: '0.0.0.0',
  },
  {
    field: 'region',
    flag: { region: 'eu-west-1' },
    env: { BEDROCK_PROXY_REGION: 'us-west-2' },
    fromFlag: { name: 'eu-west-1', origin: '--region' },
    fromEnv: { name: 'us-west-2', origin: 'BEDROCK_PROXY_REGION' },
  },
  {
    field: 'awsAuthRefresh',
    flag: { awsAuthRefresh: 'aws sso login' },
    env: { BEDROCK_PROXY_AWS_AUTH_REFRESH: 'aws login' },
    fromFlag: 'aws sso login',
    fromEnv: 'aws login',
  },
  { field: 'profile', flag: { profile: 'a' }, env: { AWS_PROFILE: 'b' }, fromFlag: 'a', fromEnv: 'b' },
  {
    field: 'database',
    flag: { db: '/a.db' },
    env: { BEDROCK_PROXY_DB: '/b.db' },
    fromFlag: locateFile('/a.db'),
    fromEnv: locateFile('/b.db'),
  },
  { field: 'offline', flag: { offline: true }, env: { BEDROCK_PROXY_OFFLINE: '0' }, fromFlag: true, fromEnv: false },
  {
    field: 'pricesFile',
    flag: { prices: '/etc/mine.json' },
    env: { BEDROCK_PROXY_PRICES: '/etc/theirs.json' },
    fromFlag: '/etc/mine.json',
    fromEnv: '/etc/theirs.json',
  },
  {
    field: 'ledgerRetentionMs',
    flag: { ledgerDays: '0' },
    env: { BEDROCK_PROXY_LEDGER_DAYS: '7' },
    fromFlag: undefined,
    fromEnv: 7 * 86_400_000,
  },
  {
    field: 'onBudget',
    flag: { onBudget: 'mail me' },
    env: { BEDROCK_PROXY_ON_BUDGET: 'mail you' },
    fromFlag: 'mail me',
    fromEnv: 'mail you',
  },
  {
    field: 'cacheDoctor',
    flag: { cacheDoctor: true },
    env: { BEDROCK_PROXY_CACHE_DOCTOR: 'off' },
    fromFlag: true,
    fromEnv: false,
  },
  {
    field: 'cacheFactsFile',
    flag: { cacheFacts: '/etc/facts.json' },
    env: { BEDROCK_PROXY_CACHE_FACTS: '/tmp/facts.json' },
    fromFlag: resolve('/etc/facts.json'),
    fromEnv: resolve('/tmp/facts.json'),
  },
  {
    field: 'assumedOutputTokens',
    flag: { assumedOutput: '8192' },
    env: { BEDROCK_PROXY_ASSUMED_OUTPUT: '1' },
    fromFlag: 8_192,
    fromEnv: 1,
  },
  {
    field: 'responseHeaders',
    flag: { noResponseHeaders: true },
    env: { BEDROCK_PROXY_NO_RESPONSE_HEADERS: 'false' },
    fromFlag: false,
    fromEnv: true,
  },
  {
    field: 'cutsEnded',
    flag: { noCut: true },
    env: { BEDROCK_PROXY_NO_CUT: 'false' },
    fromFlag: false,
    fromEnv: true,
  },
  {
    field: 'modelAliases',
    flag: { modelAlias: ['a=amazon.x', 'b=amazon.y'] },
    env: { BEDROCK_PROXY_MODEL_ALIAS: 'a=amazon.z b=amazon.y' },
    fromFlag: { a: 'amazon.x', b: 'amazon.y' },
    fromEnv: { a: 'amazon.z', b: 'amazon.y' },
  },
  {
    field: 'roleArn',
    flag: { roleArn: 'arn:aws:iam::111122223333:role/a' },
    env: { BEDROCK_PROXY_ROLE_ARN: 'arn:aws:iam::111122223333:role/path/b' },
    fromFlag: 'arn:aws:iam::111122223333:role/a',
    fromEnv: 'arn:aws:iam::111122223333:role/path/b',
  },
  {
    field: 'externalId',
    flag: { externalId: 'x/1' },
    env: { BEDROCK_PROXY_EXTERNAL_ID: 'yz' },
    fromFlag: 'x/1',
    fromEnv: 'yz',
  },
  {
    field: 'roleDurationSeconds',
    flag: { roleDuration: '900' },
    env: { BEDROCK_PROXY_ROLE_DURATION: '43200' },
    fromFlag: 900,
    fromEnv: 43_200,
  },
  {
    field: 'sessionTags',
    flag: { sessionTag: ['team', 'env=pre prod'] },
    env: { BEDROCK_PROXY_SESSION_TAG: '*' },
    fromFlag: [
      { name: 'team', value: undefined },
      { name: 'env', value: 'pre prod' },
    ],
    fromEnv: [{ name: '*', value: undefined }],
  },
  {
    field: 'requestMetadata',
    flag: { requestMetadata: true },
    env: { BEDROCK_PROXY_REQUEST_METADATA: 'off' },
    fromFlag: true,
    fromEnv: false,
  },
  { field: 'quiet', flag: { quiet: true }, env: { BEDROCK_PROXY_QUIET: 'no' }, fromFlag: true, fromEnv: false },
  {
    field: 'maxBodySizeBytes',
    flag: { maxBodySize: '1kb' },
    env: { BEDROCK_PROXY_MAX_BODY_SIZE: '2MB' },
    fromFlag: 1000,
    fromEnv: 2_000_000,
  },
  {
    field: 'idleTimeoutMs',
    flag: { idleTimeout: '1' },
    env: { BEDROCK_PROXY_IDLE_TIMEOUT: '2' },
    fromFlag: 1000,
    fromEnv: 2000,
  },
  {
    field: 'streamIdleTimeoutMs',
    flag: { streamIdleTimeout: '120' },
    env: { BEDROCK_PROXY_STREAM_IDLE_TIMEOUT: '1' },
    fromFlag: 120_000,
    fromEnv: 1000,
  },
  {
    field: 'staleKeysMs',
    flag: { staleKeys: '0' },
    env: { BEDROCK_PROXY_STALE_KEYS: '5' },
    fromFlag: 0,
    fromEnv: 5000,
  },
  {
    field: 'dbConnections',
    flag: { dbConnections: '4' },
    env: { BEDROCK_PROXY_DB_CONNECTIONS: '40' },
    fromFlag: 4,
    fromEnv: 40,
  },
  {
    field: 'shutdownGraceMs',
    flag: { shutdownGrace: '0' },
    env: { BEDROCK_PROXY_SHUTDOWN_GRACE: '5' },
    fromFlag: 0,
    fromEnv: 5000,
  },
  {
    field: 'shutdownDelayMs',
    flag: { shutdownDelay: '0' },
    env: { BEDROCK_PROXY_SHUTDOWN_DELAY: '5' },
    fromFlag: 0,
    fromEnv: 5000,
  },
  {
    field: 'allowedHosts',
    flag: { allowedHost: ['Dev.Example', 'b'] },
    env: { BEDROCK_PROXY_ALLOWED_HOST: 'c,d e' },
    fromFlag: ['dev.example', 'b'],
    fromEnv: ['c', 'd', 'e'],
  },
  {
    field: 'trustedProxies',
    flag: { trustedProxy: ['10.0.0.0/8', 'fd00::7'] },
    env: { BEDROCK_PROXY_TRUSTED_PROXY: '10.0.0.7, 192.168.0.0/16' },
    fromFlag: ['10.0.0.0/8', 'fd00::7'],
    fromEnv: ['10.0.0.7', '192.168.0.0/16'],
  },
  {
    field: 'allowedOrigins',
    flag: { allowedOrigin: ['HTTPS://Tool.example', 'null'] },
    env: { BEDROCK_PROXY_ALLOWED_ORIGIN: 'http://a:1, vscode-webview://x' },
    fromFlag: ['https://tool.example', 'null'],
    fromEnv: ['http://a:1', 'vscode-webview://x'],
  },
  {
    field: 'logFormat',
    flag: { logFormat: 'json' },
    env: { BEDROCK_PROXY_LOG_FORMAT: 'pretty' },
    fromFlag: 'json',
    fromEnv: 'pretty',
  },
  {
    field: 'cassette',
    flag: {
      cassette: '/a',
      cassetteMode: 'record',
      cassetteStrict: true,
      cassetteSkip: 'status:429',
      replaySpeed: 'instant',
    },
    env: {
      BEDROCK_PROXY_CASSETTE: '/b',
      BEDROCK_PROXY_CASSETTE_MODE: 'auto',
      BEDROCK_PROXY_CASSETTE_STRICT: 'no',
      BEDROCK_PROXY_CASSETTE_SKIP: 'status:500',
      BEDROCK_PROXY_REPLAY_SPEED: '2.5',
    },
    fromFlag: { directory: '/a', mode: 'record', isStrict: true, skip: 'status:429', speed: Number.POSITIVE_INFINITY },
    fromEnv: { directory: '/b', mode: 'auto', isStrict: false, skip: 'status:500', speed: 2.5 },
  },
  {
    field: 'faults',
    flag: { fault: ['throttle p=0.2 where model:a,b', 'empty'] },
    env: { BEDROCK_PROXY_FAULT: 'throttle p=0.2; cut where is:stream;' },
    fromFlag: ['throttle p=0.2 where model:a,b', 'empty'],
    fromEnv: ['throttle p=0.2', 'cut where is:stream'],
  },
  {
    field: 'faultSeed',
    flag: { faultSeed: '7' },
    env: { BEDROCK_PROXY_FAULT_SEED: '8' },
    fromFlag: 7,
    fromEnv: 8,
  },
  {
    field: 'inspect',
    flag: { inspect: true },
    env: { BEDROCK_PROXY_INSPECT: 'true' },
    fromFlag: true,
    fromEnv: true,
  },
  {
    field: 'inspectFile',
    flag: { inspectDb: '/tmp/flag.db' },
    env: { BEDROCK_PROXY_INSPECT_DB: '/tmp/variable.db' },
    fromFlag: '/tmp/flag.db',
    fromEnv: '/tmp/variable.db',
  },
  {
    field: 'inspectLimits',
    flag: { inspectLimit: '64mb,7d,500,20/s' },
    env: { BEDROCK_PROXY_INSPECT_LIMIT: '12h' },
    fromFlag: { maxBytes: 64 * 1024 ** 2, maxAgeMs: 7 * 86_400_000, maxExchanges: 500, maxPerSecond: 20 },
    fromEnv: { maxBytes: undefined, maxAgeMs: 12 * 3_600_000, maxExchanges: undefined },
  },
  {
    field: 'inspectRemote',
    flag: { inspectRemote: true },
    env: { BEDROCK_PROXY_INSPECT_REMOTE: 'true' },
    fromFlag: true,
    fromEnv: true,
  },
  {
    field: 'faultInShared',
    flag: { faultInShared: true },
    env: { BEDROCK_PROXY_FAULT_IN_SHARED: 'yes' },
    fromFlag: true,
    fromEnv: true,
  },
  {
    field: 'endpointUrls',
    flag: { endpointUrl: ['http://a:1', 'bedrock-agent=http://b/x/'] },
    env: { BEDROCK_PROXY_ENDPOINT_URL: 'http://c bedrock=https://d' },
    fromFlag: new Map([
      ['*', { scheme: 'http', authority: 'a:1', pathPrefix: '' }],
      ['bedrock-agent', { scheme: 'http', authority: 'b', pathPrefix: '/x' }],
    ]),
    fromEnv: new Map([
      ['*', { scheme: 'http', authority: 'c', pathPrefix: '' }],
      ['bedrock', { scheme: 'https', authority: 'd', pathPrefix: '' }],
    ]),
  },
  {
    field: 'scriptFile',
    flag: { script: '/a.json' },
    env: { BEDROCK_PROXY_OFFLINE: '1', BEDROCK_PROXY_SCRIPT: '/b.json' },
    fromFlag: resolve('/a.json'),
    fromEnv: resolve('/b.json'),
  },
  { field: 'fips', flag: { fips: true }, env: { AWS_USE_FIPS_ENDPOINT: 'false' }, fromFlag: true, fromEnv: false },
  {
    field: 'dualstack',
    flag: { dualstack: true },
    env: { AWS_USE_DUALSTACK_ENDPOINT: 'false' },
    fromFlag: true,
    fromEnv: false,
  },
  {
    field: 'upstreamsFile',
    flag: { upstreams: '/etc/a.json' },
    env: { BEDROCK_PROXY_UPSTREAMS: '/etc/b.json' },
    fromFlag: '/etc/a.json',
    fromEnv: '/etc/b.json',
  },
  {
    field: 'fallbacks',
    flag: { fallback: ['region=us-west-2'] },
    env: { BEDROCK_PROXY_FALLBACK: 'region=eu-west-1' },
    fromFlag: [expect.objectContaining({ name: 'us-west-2' })],
    fromEnv: [expect.objectContaining({ name: 'eu-west-1' })],
  },
  {
    field: 'failoverDeadlineMs',
    flag: { failoverDeadline: '5' },
    env: { BEDROCK_PROXY_FAILOVER_DEADLINE: '6' },
    fromFlag: 5_000,
    fromEnv: 6_000,
  },
  {
    field: 'openaiUpstream',
    flag: { openaiUpstream: 'mantle' },
    env: { BEDROCK_PROXY_OPENAI_UPSTREAM: 'runtime' },
    fromFlag: 'mantle',
    fromEnv: 'runtime',
  },
  { field: 'workers', flag: { workers: '3' }, env: { BEDROCK_PROXY_WORKERS: '2' }, fromFlag: 3, fromEnv: 2 },
  {
    field: 'redisUrl',
    flag: { redisUrl: 'redis://one' },
    env: { BEDROCK_PROXY_REDIS_URL: 'redis://two' },
    fromFlag: 'redis://one',
    fromEnv: 'redis://two',
  },
  {
    field: 'ratesFallback',
    flag: { ratesFallback: 'refuse' },
    env: { BEDROCK_PROXY_RATES_FALLBACK: 'local' },
    fromFlag: 'refuse',
    fromEnv: 'local',
  },
  { field: 'tls', flag: { tls: true }, env: { BEDROCK_PROXY_TLS: '0' }, fromFlag: 'made', fromEnv: undefined },
  {
    field: 'tls',
    flag: { tlsCert: '/c1.pem', tlsKey: '/k1.pem' },
    env: { BEDROCK_PROXY_TLS_CERT: '/c2.pem', BEDROCK_PROXY_TLS_KEY: '/k2.pem' },
    fromFlag: { certFile: '/c1.pem', keyFile: '/k1.pem' },
    fromEnv: { certFile: '/c2.pem', keyFile: '/k2.pem' },
  },
];

/** Variables that every program on the machine shares, and how they are read. */
const SHARED_VARIABLES: readonly { readonly env: Environment; readonly config: object }[] = [
  {
    env: { HTTPS_PROXY: 'http://p:1', HTTP_PROXY: 'https://q', NO_PROXY: 'a,b', AWS_CA_BUNDLE: '/ca.pem' },
    config: { network: { httpsProxy: 'http://p:1', httpProxy: 'https://q', noProxy: 'a,b', caFile: '/ca.pem' } },
  },
  {
    env: { HTTPS_PROXY: 'http://upper', https_proxy: 'http://lower', ALL_PROXY: 'corporate:3128' },
    config: { network: { httpsProxy: 'http://lower', httpProxy: 'http://corporate:3128' } },
  },
  { env: { AWS_BEARER_TOKEN_BEDROCK: ' ABSK123 ' }, config: { apiKey: 'ABSK123', ignoredVirtualKey: false } },
  { env: { AWS_BEARER_TOKEN_BEDROCK: 'sk-mine' }, config: { apiKey: undefined, ignoredVirtualKey: true } },
];

describe('where an option comes from', () => {
  it.each(PRECEDENCE)('prefers the flag to the variable for $field', ({ field, flag, env, fromFlag }) => {
    expect(read(flag, env)[field]).toEqual(fromFlag);
  });

  it.each(PRECEDENCE)('prefers the variable to the default for $field', ({ field, env, fromEnv }) => {
    expect(read({}, env)[field]).toEqual(fromEnv);
  });

  it('takes as many workers as there are processors for auto', () => {
    expect(read({ workers: 'auto' }).workers).toBe(Math.min(availableParallelism(), 64));
  });

  it('has a row for every option', () => {
    const flags = PRECEDENCE.flatMap(({ flag }) => Object.keys(flag));
    expect(flags.toSorted()).toEqual(Object.keys(OPTIONS).toSorted());
  });

  it.each(SHARED_VARIABLES)('reads the variable $env that others share', ({ env, config }) => {
    expect(read({}, env)).toMatchObject(config);
  });

  it.each([
    {
      name: 'all',
      env: { BEDROCK_PROXY_REGION: 'us-east-1', AWS_REGION_NAME: 'x', AWS_REGION: 'x' },
      origin: 'BEDROCK_PROXY_REGION',
    },
    {
      name: 'LiteLLM and AWS',
      env: { AWS_REGION_NAME: 'us-east-1', AWS_REGION: 'x', AWS_DEFAULT_REGION: 'x' },
      origin: 'AWS_REGION_NAME',
    },
    { name: 'AWS', env: { AWS_REGION: 'us-east-1', AWS_DEFAULT_REGION: 'x' }, origin: 'AWS_REGION' },
    { name: 'the old AWS one', env: { AWS_DEFAULT_REGION: 'us-east-1' }, origin: 'AWS_DEFAULT_REGION' },
  ])('takes the region from the strongest variable: $name', ({ env, origin }) => {
    expect(read({}, env as Environment).region).toEqual({ name: 'us-east-1', origin });
  });

  it.each([
    { env: { BEDROCK_PROXY_MASTER_KEY: 'sk-a', LITELLM_MASTER_KEY: 'sk-b' }, masterKey: 'sk-a' },
    { env: { LITELLM_MASTER_KEY: 'sk-b' }, masterKey: 'sk-b' },
    { env: { BEDROCK_PROXY_MASTER_KEY: '', LITELLM_MASTER_KEY: 'sk-b' }, masterKey: 'sk-b' },
  ])('takes the master key $masterKey from the environment', ({ env, masterKey }) => {
    expect(read({}, env as Environment).masterKey).toBe(masterKey);
  });
});

describe('values it takes', () => {
  it.each([
    { given: '1', bytes: 1 },
    { given: '25000000', bytes: 25_000_000 },
    { given: '10b', bytes: 10 },
    { given: '1.5mb', bytes: 1_500_000 },
    { given: '64 KB', bytes: 64_000 },
    { given: '2gb', bytes: 2_000_000_000 },
  ])('reads $given as a size', ({ given, bytes }) => {
    expect(read({ maxBodySize: given }).maxBodySizeBytes).toBe(bytes);
  });

  it.each([
    ...['1', 'true', 'YES', 'on'].map((given) => ({ given, is: true })),
    ...['0', 'false', 'No', 'off'].map((given) => ({ given, is: false })),
  ])('reads BEDROCK_PROXY_OFFLINE=$given as yes or no', ({ given, is }) => {
    expect(read({}, { BEDROCK_PROXY_OFFLINE: given }).offline).toBe(is);
  });

  it.each(['0', '65535'])('takes the port %s', (port) => {
    expect(read({ port }).port).toBe(Number(port));
  });
});

/** Every way to be wrong: the message has to name the flag or the variable, and say what it may be. */
const BAD_VALUES: readonly {
  readonly flags?: Flags;
  readonly env?: Environment;
  readonly origin: string;
  readonly says: RegExp;
}[] = [
  { flags: { roleArn: 'bedrock' }, origin: '--role-arn', says: /the ARN of a role/ },
  { flags: { roleArn: 'arn:aws:iam::111122223333:mfa/ann' }, origin: '--role-arn', says: /MFA/ },
  {
    flags: { roleArn: 'arn:aws:iam::111122223333:role/a', region: 'us-gov-west-1' },
    origin: '--role-arn',
    says: /arn:aws-us-gov:iam::/,
  },
  { flags: { externalId: 'a b' }, origin: '--external-id', says: /2 to 1224/ },
  { flags: { roleDuration: '899' }, origin: '--role-duration', says: /900 to 43200/ },
  { flags: { sessionTag: ['team', 'Team=x'] }, origin: '--session-tag', says: /difference of case/ },
  { flags: { sessionTag: ['aws:team=x'] }, origin: '--session-tag', says: /no name that AWS takes/ },
  { flags: { sessionTag: ['team=a;b'] }, origin: '--session-tag', says: /characters that AWS does not take/ },
  ...['0', '65', '-1', '1.5', 'all', 'AUTO', ''].map((workers) => ({
    flags: { workers },
    origin: '--workers',
    says: /must be (auto or )?a whole number from 1 to 64/,
  })),
  ...['65536', '-1', '4000.5', 'http', '0x10', ''].map((port) => ({
    flags: { port },
    origin: '--port',
    says: /must be a whole number from 0 to 65535/,
  })),
  { env: { BEDROCK_PROXY_PORT: 'x' }, origin: 'BEDROCK_PROXY_PORT', says: /whole number/ },
  { flags: { host: [''] }, origin: '--host', says: /must be an address or a name of this machine/ },
  { flags: { host: ['http://127.0.0.1'] }, origin: '--host', says: /must be an address or a name of this machine/ },
  { env: { BEDROCK_PROXY_HOST: '127.0.0.1:4000' }, origin: 'BEDROCK_PROXY_HOST', says: /must be an address or a name/ },
  {
    flags: { region: 'us-east-1.evil.example' },
    origin: '--region',
    says: /is not an AWS region; one looks like us-east-1/,
  },
  { flags: { region: '' }, origin: '--region', says: /is not an AWS region/ },
  { env: { AWS_REGION: 'None' }, origin: 'AWS_REGION', says: /is not an AWS region/ },
  { flags: { awsAuthRefresh: ' ' }, origin: '--aws-auth-refresh', says: /must not be empty/ },
  { flags: { profile: '' }, origin: '--profile', says: /must not be empty/ },
  { flags: { modelAlias: ['fast'] }, origin: '--model-alias', says: /must be a name and the id or ARN of a model/ },
  {
    env: { BEDROCK_PROXY_MODEL_ALIAS: 'up=..' },
    origin: 'BEDROCK_PROXY_MODEL_ALIAS',
    says: /the id or ARN of a model/,
  },
  { flags: { db: '' }, origin: '--db', says: /must name a file/ },
  { flags: { db: 'file:' }, origin: '--db', says: /must name a file/ },
  { env: { DATABASE_URL: 'sqlite://' }, origin: 'DATABASE_URL', says: /must name a file/ },
  { env: { DATABASE_URL: 'file:///a%2Fb' }, origin: 'DATABASE_URL', says: /must name a file/ },
  { env: { DATABASE_URL: 'file:///a%zz' }, origin: 'DATABASE_URL', says: /must name a file/ },
  ...['0', '0.4b', '3gb', '1tb', 'mb', '-1mb', ''].map((maxBodySize) => ({
    flags: { maxBodySize },
    origin: '--max-body-size',
    says: /must be a size of up to 2gb, such as 25000000 or 128mb/,
  })),
  { env: { BEDROCK_PROXY_MAX_BODY_SIZE: 'big' }, origin: 'BEDROCK_PROXY_MAX_BODY_SIZE', says: /size/ },
  { flags: { idleTimeout: '0' }, origin: '--idle-timeout', says: /from 1 to 86400/ },
  { flags: { staleKeys: '-1' }, origin: '--stale-keys', says: /from 0 to 86400/ },
  { flags: { dbConnections: '0' }, origin: '--db-connections', says: /from 1 to 1000/ },
  { flags: { shutdownGrace: '86401' }, origin: '--shutdown-grace', says: /from 0 to 86400/ },
  { flags: { shutdownDelay: '3601' }, origin: '--shutdown-delay', says: /from 0 to 3600/ },
  { env: { BEDROCK_PROXY_OFFLINE: 'maybe' }, origin: 'BEDROCK_PROXY_OFFLINE', says: /must be true or false/ },
  { env: { BEDROCK_PROXY_QUIET: '2' }, origin: 'BEDROCK_PROXY_QUIET', says: /must be true or false/ },
  { flags: { tlsCert: 'c.pem' }, origin: '--tls-cert', says: /needs --tls-key as well/ },
  { env: { BEDROCK_PROXY_TLS_KEY: 'k.pem' }, origin: 'BEDROCK_PROXY_TLS_KEY', says: /needs --tls-cert as well/ },
  { flags: { openaiUpstream: 'azure' }, origin: '--openai-upstream', says: /must be runtime or mantle/ },
  { env: { AWS_USE_FIPS_ENDPOINT: 'please' }, origin: 'AWS_USE_FIPS_ENDPOINT', says: /must be true or false/ },
  {
    env: { https_proxy: 'ftp://p' },
    origin: 'https_proxy',
    says: /must be the URL of an http:\/\/ or https:\/\/ proxy/,
  },
  {
    env: { ALL_PROXY: 'socks5://p:1' },
    origin: 'ALL_PROXY',
    says: /must be the URL of an http:\/\/ or https:\/\/ proxy/,
  },
  { flags: { logFormat: 'xml' }, origin: '--log-format', says: /must be pretty or json/ },
  {
    flags: { allowedHost: ['http://a'] },
    origin: '--allowed-host',
    says: /must be a host name without scheme and port/,
  },
  { flags: { trustedProxy: ['10.0.0.0/33'] }, origin: '--trusted-proxy', says: /must be an address or a network/ },
  { flags: { allowedHost: ['ok', 'a:80'] }, origin: '--allowed-host', says: /must be a host name/ },
  { env: { BEDROCK_PROXY_ALLOWED_HOST: 'a, *' }, origin: 'BEDROCK_PROXY_ALLOWED_HOST', says: /must be a host name/ },
  { flags: { allowedOrigin: ['tool.example'] }, origin: '--allowed-origin', says: /must be an origin such as/ },
  {
    flags: { allowedOrigin: ['https://tool.example/'] },
    origin: '--allowed-origin',
    says: /must be an origin such as/,
  },
  { flags: { endpointUrl: ['ftp://a'] }, origin: '--endpoint-url', says: /must be an http:\/\/ or https:\/\/ URL/ },
  { flags: { endpointUrl: ['s3=http://a'] }, origin: '--endpoint-url', says: /names an unknown service/ },
  { env: { BEDROCK_PROXY_ENDPOINT_URL: 'a' }, origin: 'BEDROCK_PROXY_ENDPOINT_URL', says: /URL/ },
];

describe('values it refuses', () => {
  it.each(BAD_VALUES)('refuses a bad value of $origin: $flags $env', async ({ flags = {}, env = {}, origin, says }) => {
    const error = await failureOf(() => read(flags, env));
    expect(error.code).toBe('ERR_BAD_OPTION');
    expect(error.message).toMatch(new RegExp(`^${origin} `));
    expect(error.message).toMatch(says);
    expect(error.hint).toBeDefined();
  });

  it.each([
    { flags: { endpointUrl: ['http://alice:hunter2@upstream'] }, env: {}, host: 'upstream' },
    { flags: {}, env: { HTTPS_PROXY: 'http://alice:hun/ter2@proxy:3128' }, host: 'proxy:3128' },
    { flags: {}, env: { HTTPS_PROXY: 'alice:hunter2@proxy:3128/x' }, host: 'proxy:3128' },
    { flags: {}, env: { HTTPS_PROXY: 'http://alice:hunt@er2@proxy:3128/x y' }, host: 'proxy:3128' },
  ])('does not quote a password that stands in a URL: $flags $env', async ({ flags, env, host }) => {
    const { message, hint } = await failureOf(() => read(flags, env as Environment));
    expect(message).toContain(host);
    expect(`${message} ${hint}`).not.toMatch(/hun|er2|alice/);
  });

  it('refuses a salt key that protects nothing, without quoting it', async () => {
    const error = await failureOf(() => readSaltKey({ BEDROCK_PROXY_SALT_KEY: 'fifteen letters' }));
    expect(error.code).toBe('ERR_BAD_OPTION');
    expect(error.message).toBe('BEDROCK_PROXY_SALT_KEY must have at least 16 characters.');
    expect(readSaltKey({ BEDROCK_PROXY_SALT_KEY: 'sixteen letters!' })).toBe('sixteen letters!');
  });
});

it('leaves out of the environment of other programs what opens the proxy, and nothing else', () => {
  const kept = {
    PATH: '/bin',
    REDIS_URL: 'redis://rails',
    DATABASE_URL: 'postgres://rails:hunter2@db/rails',
    BEDROCK_PROXY_PORT: '4001',
  };
  const secrets = {
    LITELLM_MASTER_KEY: 'sk-a',
    BEDROCK_PROXY_SALT_KEY: 'b',
    BEDROCK_PROXY_INSPECT_TOKEN: 'c',
    BEDROCK_PROXY_REDIS_URL: 'd',
  };
  expect(withoutSecrets({ ...kept, ...secrets })).toEqual(kept);
  const shown = withoutSecrets({ BEDROCK_PROXY_DB: 'postgres://proxy:hunter2@db/proxy?sslmode=require' });
  expect(shown).toEqual({ BEDROCK_PROXY_DB: 'postgres://proxy@db/proxy?sslmode=require' });
  expect(withoutSecrets({ BEDROCK_PROXY_DB: 'a@b:c.db' })).toEqual({ BEDROCK_PROXY_DB: 'a@b:c.db' });
});
