import { describe, expect, it } from 'vitest';
import { ProxyError } from '../../../src/lib/errors.ts';
import { refreshExpired } from '../../../src/upstream/aws/auth-refresh.ts';
import { createCredentialSource, type ProvidedCredentials } from '../../../src/upstream/aws/credentials.ts';
import { MACHINE_TICKS } from '../../../src/lib/clock.ts';

const OLD = { accessKeyId: 'AKIDOLD', secretAccessKey: 'old' };
const NEW = { accessKeyId: 'AKIDNEW', secretAccessKey: 'new' };
const NO_LOGIN = new Error('The SSO session has expired. Run aws sso login.');

/** Looked up is what the last call of `become` says; a run of the command makes it `after`. */
function open(first: Error | ProvidedCredentials, after: Error | ProvidedCredentials, failure?: string) {
  let now = first;
  let runs = 0;
  const load = async (): Promise<ProvidedCredentials> => {
    if (now instanceof Error) throw now;
    return now;
  };
  const source = createCredentialSource({ profile: 'dev', nowMs: Date.now, tickMs: MACHINE_TICKS, load });
  const refreshing = refreshExpired(source, async () => {
    runs += 1;
    now = after;
    return failure;
  });
  return { refreshing, runs: () => runs };
}

const failureOf = (work: Promise<unknown>): Promise<unknown> => work.catch((thrown: unknown) => thrown);

describe('credentials that a command renews', () => {
  it.each([
    { name: 'the login has expired', first: NO_LOGIN },
    { name: 'there are none', first: new Error('Could not load credentials from any providers') },
  ])('runs it if $name, and gives what there is then', async ({ first }) => {
    const { refreshing, runs } = open(first, NEW);
    expect(await refreshing.get()).toMatchObject(NEW);
    expect(await refreshing.get()).toMatchObject(NEW);
    expect(runs()).toBe(1);
  });

  it.each([
    { name: 'the network is away', first: new Error('getaddrinfo ENOTFOUND portal.sso.us-east-1.amazonaws.com') },
    { name: 'another error of ours', first: new ProxyError('ERR_INTERNAL', 'Something.') },
  ])('does not run it if $name', async ({ first }) => {
    const { refreshing, runs } = open(first, NEW);
    expect(await failureOf(refreshing.get())).toBeInstanceOf(ProxyError);
    expect(runs()).toBe(0);
  });

  it('does not run it for a description', async () => {
    const { refreshing, runs } = open(NO_LOGIN, NEW);
    expect(await failureOf(refreshing.describe())).toMatchObject({ code: 'ERR_AWS_CREDENTIALS' });
    expect(runs()).toBe(0);
  });

  it('runs it if AWS says that the keys have expired and they are found again', async () => {
    const { refreshing, runs } = open(OLD, NEW);
    expect(await refreshing.get()).toMatchObject(OLD);
    refreshing.invalidate(OLD, true);
    expect(await refreshing.get()).toMatchObject(NEW);
    expect(runs()).toBe(1);
  });

  it('does not run it if AWS refuses for another reason, which a client may bring about', async () => {
    const { refreshing, runs } = open(OLD, NEW);
    await refreshing.get();
    refreshing.invalidate(OLD, false);
    expect(await refreshing.get()).toMatchObject(OLD);
    expect(runs()).toBe(0);
  });

  it('says why it did not help', async () => {
    const { refreshing } = open(NO_LOGIN, NO_LOGIN, 'The command ended with exit code 7.');
    const error = await failureOf(refreshing.get());
    expect(error).toMatchObject({ code: 'ERR_AWS_CREDENTIALS', hint: 'The command ended with exit code 7.' });
    const { refreshing: inVain } = open(NO_LOGIN, NO_LOGIN);
    expect(await failureOf(inVain.get())).toMatchObject({ code: 'ERR_AWS_CREDENTIALS' });
  });
});
