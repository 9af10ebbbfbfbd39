import { monotonicClock } from '../../../src/lib/clock.ts';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ProxyError } from '../../../src/lib/errors.ts';
import {
  createCredentialSource,
  type CredentialSource,
  loadFromChain,
  loadProfileRegion,
  type ProvidedCredentials,
} from '../../../src/upstream/aws/credentials.ts';
import { failureOf } from '../../helpers/failure.ts';
import { makeTemporaryFolder } from '../../helpers/temporary-folder.ts';

const START_MS = 1_700_000_000_000;
const MINUTE_MS = 60_000;

/** A source over look-ups that the test settles one by one, and a clock that it moves. */
const named = (accessKeyId: string) => ({ accessKeyId, secretAccessKey: 's' });

class Bench {
  nowMs = START_MS;
  readonly lookUps: PromiseWithResolvers<ProvidedCredentials>[] = [];
  readonly source: CredentialSource;

  constructor(profile?: string) {
    this.source = createCredentialSource({
      profile,
      nowMs: () => this.nowMs,
      tickMs: monotonicClock(() => this.nowMs),
      load: () => {
        const lookUp = Promise.withResolvers<ProvidedCredentials>();
        this.lookUps.push(lookUp);
        return lookUp.promise;
      },
    });
  }

  /** Responds to the newest look-up. */
  give(name: string, minutes?: number): void {
    const expiration = minutes === undefined ? undefined : new Date(this.nowMs + minutes * MINUTE_MS);
    this.lookUps.at(-1)?.resolve({ accessKeyId: name, secretAccessKey: 's', expiration });
  }

  fail(message = 'no luck'): void {
    this.lookUps.at(-1)?.reject(new Error(message));
  }

  async name(): Promise<string> {
    return (await this.source.get()).accessKeyId;
  }

  /** Lets a look-up that runs in the background come to its end. */
  settled(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}

async function hang(bench: Bench): Promise<ProxyError> {
  const failure = failureOf(() => bench.name());
  await vi.advanceTimersByTimeAsync(30_000);
  return failure;
}

describe('a look-up that hangs', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  it('is given up after half a minute with an error that says so, and the next request starts a new one', async () => {
    const bench = new Bench('dev');
    const { code, message } = await hang(bench);
    expect([code, message]).toEqual([
      'ERR_AWS_CREDENTIALS',
      'The look-up of the AWS credentials of the profile "dev" has not ended.',
    ]);
    bench.nowMs += 2_000;
    const second = bench.name();
    bench.give('second', 60);
    expect(await second).toBe('second');
    expect(bench.lookUps).toHaveLength(2);
  });

  it('does not start one process after the other: each that hangs doubles the pause, up to five minutes', async () => {
    const bench = new Bench();
    for (const pauseSeconds of [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]) {
      await hang(bench);
      const started = bench.lookUps.length;
      bench.nowMs += pauseSeconds * 1_000 - 1;
      await failureOf(() => bench.name());
      expect(bench.lookUps).toHaveLength(started);
      bench.nowMs += 1;
    }
  });

  it('hands out what is still valid after a few seconds of the last minute', async () => {
    const bench = new Bench();
    const first = bench.name();
    bench.give('first', 60);
    await first;
    bench.nowMs += 59.5 * MINUTE_MS;
    const asked = bench.name();
    await vi.advanceTimersByTimeAsync(3_000);
    expect(await asked).toBe('first');
  });

  it.each([
    { name: 'is taken if it ends after all', newer: undefined, found: 'late' },
    { name: 'does not replace newer credentials if it ends after all', newer: 'newer', found: 'newer' },
  ])('$name', async ({ newer, found }) => {
    const bench = new Bench();
    await hang(bench);
    const [slow] = bench.lookUps;
    bench.nowMs += 2_000;
    if (newer !== undefined) {
      const asked = bench.name();
      bench.give(newer, 60);
      await asked;
    }
    slow?.resolve({ accessKeyId: 'late', secretAccessKey: 's', expiration: new Date(bench.nowMs + 60 * MINUTE_MS) });
    await bench.settled();
    expect(await bench.name()).toBe(found);
  });
});

describe('credentials in memory', () => {
  it('looks credentials up once, however many ask at the same time', async () => {
    const bench = new Bench();
    const asking = Promise.all([bench.name(), bench.name(), bench.source.describe()]);
    bench.give('first', 60);
    const [one, two] = await asking;
    expect([one, two, bench.lookUps.length]).toEqual(['first', 'first', 1]);
    expect(await bench.name()).toBe('first');
    expect(bench.lookUps).toHaveLength(1);
  });

  it('looks no credentials up before somebody asks', () => {
    expect(new Bench().lookUps).toHaveLength(0);
  });

  it('refreshes credentials in the background five minutes before they expire, while the old ones serve', async () => {
    const bench = new Bench();
    const first = bench.name();
    bench.give('first', 60);
    await first;
    bench.nowMs += 54 * MINUTE_MS;
    expect(await bench.name()).toBe('first');
    expect(bench.lookUps).toHaveLength(1);
    bench.nowMs += 2 * MINUTE_MS;
    expect(await bench.name()).toBe('first');
    expect(await bench.name()).toBe('first');
    expect(bench.lookUps).toHaveLength(2);
    bench.give('second', 60);
    await bench.settled();
    expect(await bench.name()).toBe('second');
  });

  it('makes requests wait if the credentials expire within a minute', async () => {
    const bench = new Bench();
    const first = bench.name();
    bench.give('first', 60);
    await first;
    bench.nowMs += 59 * MINUTE_MS;
    const waiting = Promise.all([bench.name(), bench.name()]);
    bench.give('second', 60);
    expect(await waiting).toEqual(['second', 'second']);
    expect(bench.lookUps).toHaveLength(2);
  });

  it('serves old credentials if the refresh ahead fails, and asks for new ones at most once a second', async () => {
    const bench = new Bench();
    const first = bench.name();
    bench.give('first', 60);
    await first;
    bench.nowMs += 56 * MINUTE_MS;
    await bench.name();
    bench.fail();
    await bench.settled();
    expect(await bench.name()).toBe('first');
    expect(bench.lookUps).toHaveLength(2);
    bench.nowMs += 1_000;
    expect(await bench.name()).toBe('first');
    expect(bench.lookUps).toHaveLength(3);
  });

  it('starts one look-up, not one per request, for credentials that expire soon after each look-up', async () => {
    const bench = new Bench();
    const first = bench.name();
    bench.give('first', 3);
    await first;
    expect(await bench.name()).toBe('first');
    expect(await bench.name()).toBe('first');
    expect(bench.lookUps).toHaveLength(1);
    bench.nowMs += MINUTE_MS;
    await bench.name();
    expect(bench.lookUps).toHaveLength(2);
  });

  it('reads credentials without an expiry again after five minutes, in the background', async () => {
    const bench = new Bench();
    const first = bench.name();
    bench.give('first');
    await first;
    bench.nowMs += 5 * MINUTE_MS - 1;
    await bench.name();
    expect(bench.lookUps).toHaveLength(1);
    bench.nowMs += 1;
    expect(await bench.name()).toBe('first');
    expect(bench.lookUps).toHaveLength(2);
    bench.give('second');
    await bench.settled();
    expect(await bench.name()).toBe('second');
  });

  it('looks credentials up anew after AWS refused them', async () => {
    const bench = new Bench();
    const first = bench.name();
    bench.give('first', 60);
    await first;
    bench.source.invalidate(named('first'));
    const second = bench.name();
    bench.give('second', 60);
    expect(await second).toBe('second');
    // A late refusal of what is replaced by now.
    bench.source.invalidate(named('first'));
    bench.source.invalidate(named('second'));
    expect(await bench.name()).toBe('second');
    expect(bench.lookUps).toHaveLength(2);
    bench.nowMs += 2_000;
    bench.source.invalidate(named('first'));
    expect(await bench.name()).toBe('second');
    bench.source.invalidate(named('second'));
    const third = bench.name();
    bench.give('third', 60);
    expect(await third).toBe('third');
  });
});

describe('a look-up that fails', () => {
  it('fails everybody who waits for a failed look-up, and does not repeat it for a second', async () => {
    const bench = new Bench();
    const failing = Promise.all([failureOf(() => bench.name()), failureOf(() => bench.name())]);
    bench.fail();
    const [one, two] = await failing;
    expect(one).toBe(two);
    expect(await failureOf(() => bench.name())).toBe(one);
    expect(bench.lookUps).toHaveLength(1);
  });

  it('repeats a failed look-up after that second: a login needs no restart', async () => {
    const bench = new Bench();
    const failing = failureOf(() => bench.name());
    bench.fail();
    await failing;
    bench.nowMs += 1_000;
    const second = bench.name();
    bench.give('second', 60);
    expect(await second).toBe('second');
    expect(await bench.name()).toBe('second');
  });
});

const failingSource = (thrown: unknown): CredentialSource =>
  createCredentialSource({
    profile: undefined,
    nowMs: () => 0,
    tickMs: monotonicClock(() => 0),
    load: () => Promise.reject(thrown),
  });

describe('what is said about a failure', () => {
  const SSO_MESSAGES = [
    'The SSO session associated with this profile has expired. To refresh this SSO session run aws sso login with the corresponding profile.',
    'The SSO session token associated with profile=dev was not found or is invalid. To refresh this SSO session run aws sso login with the corresponding profile.',
    'Token is expired. To refresh this SSO session run `aws sso login` with the corresponding profile.',
  ];

  it.each(SSO_MESSAGES)('says whoever uses SSO must log in: %s', async (message) => {
    const bench = new Bench('dev');
    const failing = failureOf(() => bench.name());
    bench.fail(message);
    const error = await failing;
    expect([error.code, error.status]).toEqual(['ERR_AWS_CREDENTIALS', 403]);
    expect(error.hint).toContain('aws sso login --profile dev');
    expect(error.detail).toBe(message);
  });

  it('has what a credential_process wrote in one line', async () => {
    const bench = new Bench('dev');
    const failing = failureOf(() => bench.name());
    bench.fail('Command failed: tool login\n/bin/sh: 1: tool: not found\n');
    expect((await failing).detail).toBe('Command failed: tool login; /bin/sh: 1: tool: not found');
  });

  it('names no profile if none was asked for', async () => {
    const bench = new Bench();
    const failing = failureOf(() => bench.name());
    bench.fail(SSO_MESSAGES[0]);
    expect((await failing).hint).toContain(': aws sso login. ');
  });

  it.each([
    { profile: 'dev', words: 'The profile "dev" asks for an MFA code' },
    { profile: undefined, words: 'The profile asks for an MFA code' },
  ])('says that nobody can give the code of an MFA device: $profile', async ({ profile, words }) => {
    const bench = new Bench(profile);
    const failing = failureOf(() => bench.name());
    bench.fail('Profile dev requires multi-factor authentication, but no MFA code callback was provided.');
    const error = await failing;
    expect([error.code, error.message]).toEqual(['ERR_NO_AWS_CREDENTIALS', expect.stringContaining(words)]);
    expect(error.hint).toContain('without mfa_serial');
  });

  it('names the profile that has no credentials', async () => {
    const bench = new Bench('typo');
    const failing = failureOf(() => bench.name());
    bench.fail('Could not resolve credentials using profile: [typo] in configuration/credentials file(s).');
    const error = await failing;
    expect([error.code, error.status]).toEqual(['ERR_NO_AWS_CREDENTIALS', 403]);
    expect(error.message).toBe('The proxy finds no AWS credentials in the profile "typo".');
  });

  it('names every way to give credentials if the whole chain had none', async () => {
    const bench = new Bench();
    const failing = failureOf(() => bench.name());
    bench.fail('Could not load credentials from any providers');
    const error = await failing;
    expect(error.code).toBe('ERR_NO_AWS_CREDENTIALS');
    for (const way of ['aws configure', 'aws sso login', 'AWS_ACCESS_KEY_ID', '--profile', '--offline']) {
      expect(error.hint).toContain(way);
    }
  });

  it('keeps the words of the credential chain for the operator, as they may hold paths', async () => {
    const bench = new Bench();
    const failing = failureOf(() => bench.name());
    bench.fail('cannot read /home/alice/.aws/config');
    const error = await failing;
    expect(error.detail).toContain('alice');
    expect(`${error.message} ${error.hint}`).not.toContain('alice');
  });

  it('hands a ProxyError of a look-up on as it is, and survives a thrown nothing', async () => {
    const own = new ProxyError('ERR_INTERNAL', 'ours');
    expect(await failureOf(() => failingSource(own).get())).toBe(own);
    expect((await failureOf(() => failingSource(undefined).get())).code).toBe('ERR_NO_AWS_CREDENTIALS');
  });
});

const describeAs = async (profile: string | undefined, $source: object | undefined, expiration?: Date) =>
  createCredentialSource({
    profile,
    nowMs: () => START_MS,
    tickMs: monotonicClock(() => 0),
    load: async () => ({ accessKeyId: 'a', secretAccessKey: 's', $source, expiration }),
  }).describe();

describe('where credentials come from, in words', () => {
  it.each([
    { marks: { CREDENTIALS_ENV_VARS: 'g' }, words: 'environment variables' },
    { marks: { CREDENTIALS_PROFILE: 'n' }, words: 'access keys in the shared AWS files' },
    { marks: { CREDENTIALS_PROFILE_SSO: 'r', CREDENTIALS_SSO: 's' }, words: 'AWS SSO' },
    {
      marks: { CREDENTIALS_PROFILE_SOURCE_PROFILE: 'o', CREDENTIALS_STS_ASSUME_ROLE: 'i', CREDENTIALS_PROFILE: 'n' },
      words: 'assumed role',
    },
    { marks: { CREDENTIALS_PROFILE_PROCESS: 'v', CREDENTIALS_PROCESS: 'w' }, words: 'credential_process' },
    { marks: { CREDENTIALS_ENV_VARS_STS_WEB_ID_TOKEN: 'h' }, words: 'web identity token file' },
    { marks: { CREDENTIALS_HTTP: 'z' }, words: 'container credentials' },
    { marks: { CREDENTIALS_IMDS: '0' }, words: 'instance metadata' },
    { marks: { CREDENTIALS_FROM_THE_FUTURE: '?' }, words: 'the default credential chain' },
    { marks: undefined, words: 'the default credential chain' },
  ])('says that credentials of $marks come from $words', async ({ marks, words }) => {
    expect((await describeAs(undefined, marks)).description).toBe(words);
  });

  it('names the profile that credentials come from', async () => {
    expect((await describeAs('dev', { CREDENTIALS_PROFILE_SSO: 'r' })).description).toBe('profile dev (AWS SSO)');
    expect((await describeAs('dev', undefined)).description).toBe('profile dev');
  });

  it('says when credentials expire', async () => {
    expect((await describeAs(undefined, {}, new Date(START_MS))).expiresAtMs).toBe(START_MS);
    expect((await describeAs(undefined, {})).expiresAtMs).toBeUndefined();
  });
});

const warn = (message: string): void => expect.fail(message);

describe('the chain of the AWS SDK, on files of our own', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await makeTemporaryFolder();
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_PROFILE'])
      vi.stubEnv(name, undefined);
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'config'));
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(folder, 'credentials'));
    await writeFile(
      join(folder, 'config'),
      '[default]\nregion = eu-west-1\n[profile dev]\nregion = us-west-2\n[profile bare]\n',
    );
    await writeFile(
      join(folder, 'credentials'),
      '[dev]\naws_access_key_id = AKIDDEV\naws_secret_access_key = s\n[keys]\nregion = eu-north-1\n',
    );
  });

  afterEach(() => void vi.unstubAllEnvs());

  it('reads credentials from the environment', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDENV');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 's');
    expect((await loadFromChain(undefined, undefined, warn)).accessKeyId).toBe('AKIDENV');
  });

  it('takes credentials of a named profile and of nothing in its stead', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDENV');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 's');
    expect((await loadFromChain('dev', 'us-east-1', warn)).accessKeyId).toBe('AKIDDEV');
    await expect(loadFromChain('typo', undefined, warn)).rejects.toThrow('typo');
  });

  it('reads the credential files anew each time', async () => {
    await loadFromChain('dev', undefined, warn);
    await writeFile(join(folder, 'credentials'), '[dev]\naws_access_key_id = AKIDNEW\naws_secret_access_key = s\n');
    expect((await loadFromChain('dev', undefined, warn)).accessKeyId).toBe('AKIDNEW');
  });

  it.each([
    { profile: undefined, region: 'eu-west-1' },
    { profile: 'dev', region: 'us-west-2' },
    { profile: 'keys', region: 'eu-north-1' },
    { profile: 'bare', region: undefined },
    { profile: 'typo', region: undefined },
  ])('finds the region $region of the profile $profile', async ({ profile, region }) => {
    expect(await loadProfileRegion(profile)).toBe(region);
  });

  it('finds no region if there are no files', async () => {
    vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'nowhere'));
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(folder, 'nowhere'));
    expect(await loadProfileRegion(undefined)).toBeUndefined();
  });
});
