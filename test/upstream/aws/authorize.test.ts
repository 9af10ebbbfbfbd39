import { describe, expect, it } from 'vitest';
import { ProxyError } from '../../../src/lib/errors.ts';
import type { HeaderPair } from '../../../src/http/message.ts';
import {
  authorizeRequest,
  type UnauthorizedRequest,
  type UpstreamAuthority,
} from '../../../src/upstream/aws/authorize.ts';
import { failureOf } from '../../helpers/failure.ts';
import { AWS_PAIR } from '../../helpers/testbed.ts';

const NOW = new Date('2026-11-22T12:00:00Z');
const REQUEST: UnauthorizedRequest = {
  method: 'POST',
  host: 'bedrock-runtime.us-east-1.amazonaws.com',
  target: { path: '/model/a/converse', query: undefined },
  headers: [['accept', '*/*']],
  bodySha256: '0'.repeat(64),
  region: 'us-east-1',
  signingName: 'bedrock',
  signingDate: NOW,
  operation: 'Converse',
  bearerKeys: true,
  oauthAuthorization: undefined,
};
const API_KEY = { token: 'ABSKtoken', region: undefined, expiresAtMs: undefined };
const NONE = new ProxyError('ERR_NO_AWS_CREDENTIALS', 'none');

function authority(apiKey: UpstreamAuthority['apiKey'], failing?: ProxyError): UpstreamAuthority {
  const get = async () => {
    if (failing !== undefined) throw failing;
    return AWS_PAIR;
  };
  return { apiKey, credentials: { get, describe: tellNothing, invalidate: () => true, forget: () => {} } };
}

async function tellNothing() {
  return { description: 'test', expiresAtMs: undefined };
}

const valueOf = (headers: readonly HeaderPair[], name: string) => headers.find(([given]) => given === name)?.[1];

describe('the right by which a request goes to AWS', () => {
  it('signs a request if the owner has no API key', async () => {
    const { headers, credentials } = await authorizeRequest(REQUEST, authority(undefined));
    expect(valueOf(headers, 'authorization')).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\//);
    expect(credentials).toBe(AWS_PAIR);
  });

  it('sends the API key if there is one and AWS takes it, without asking for credentials', async () => {
    const { headers, credentials } = await authorizeRequest(REQUEST, authority(API_KEY, NONE));
    expect(headers).toEqual([
      ['host', REQUEST.host],
      ['accept', '*/*'],
      ['authorization', 'Bearer ABSKtoken'],
    ]);
    expect(credentials).toBeUndefined();
  });

  it('signs a request if AWS takes no API key for it', async () => {
    const { headers } = await authorizeRequest({ ...REQUEST, bearerKeys: false }, authority(API_KEY));
    expect(valueOf(headers, 'authorization')).toMatch(/^AWS4-HMAC-SHA256 /);
  });

  it('refuses a request if the API key is all there is and AWS does not take it', async () => {
    const request = { ...REQUEST, bearerKeys: false, operation: 'InvokeAgent' };
    const error = await failureOf(() => authorizeRequest(request, authority(API_KEY, NONE)));
    expect([error.code, error.status, error.cause]).toEqual(['ERR_API_KEY_REFUSED', 403, NONE]);
    expect(error.message).toContain('InvokeAgent');
    expect(error.hint).toContain('AWS credentials');
  });

  it('keeps the words about credentials that only have to be renewed', async () => {
    const expired = new ProxyError('ERR_AWS_CREDENTIALS', 'log in');
    const request = { ...REQUEST, bearerKeys: false };
    expect(await failureOf(() => authorizeRequest(request, authority(API_KEY, expired)))).toBe(expired);
  });

  it('refuses an API key that has expired, even by a moment, and puts nothing in its place', async () => {
    const expired = { ...API_KEY, expiresAtMs: NOW.getTime() };
    const error = await failureOf(() => authorizeRequest(REQUEST, authority(expired)));
    expect([error.code, error.status]).toEqual(['ERR_AWS_CREDENTIALS', 403]);
    expect(error.message).toContain('2026-11-22T12:00:00.000Z');
    expect(error.message + error.hint).not.toContain('ABSKtoken');
    const valid = { ...API_KEY, expiresAtMs: NOW.getTime() + 1 };
    const { headers } = await authorizeRequest(REQUEST, authority(valid));
    expect(valueOf(headers, 'authorization')).toBe('Bearer ABSKtoken');
  });

  it("sends the caller's own token before all else", async () => {
    const request = { ...REQUEST, bearerKeys: false, oauthAuthorization: 'Bearer a.b.c' };
    const { headers, credentials } = await authorizeRequest(request, authority(API_KEY));
    expect(headers.map(([name]) => name)).toEqual(['host', 'accept', 'authorization']);
    expect(valueOf(headers, 'authorization')).toBe('Bearer a.b.c');
    expect(credentials).toBeUndefined();
  });
});
