import { describe, expect, it } from 'vitest';
import { findToken, parsePresentedCredential } from '../../src/keys/presented-credential.ts';
import type { HeaderPair } from '../../src/http/message.ts';
import { failureOf } from '../helpers/failure.ts';

/** The key to look up, and what signed. */
function findCredential(headers: readonly HeaderPair[]): {
  token: string | undefined;
  accessKeyId: string | undefined;
} {
  const presented = parsePresentedCredential(headers, undefined);
  return { token: findToken(presented), accessKeyId: presented.accessKeyId };
}

const SIGV4_REST = '/20260314/us-east-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=abc';
const signedBy = (slot: string): HeaderPair => ['Authorization', `AWS4-HMAC-SHA256 Credential=${slot}${SIGV4_REST}`];

describe('where a key is found', () => {
  it.each<{ name: string; headers: HeaderPair[]; token: string }>([
    { name: 'Bearer', headers: [['Authorization', 'Bearer sk-a']], token: 'sk-a' },
    { name: 'bearer in any case and spacing', headers: [['AUTHORIZATION', '  bEaReR \t sk-a  ']], token: 'sk-a' },
    { name: 'x-api-key', headers: [['x-api-key', 'sk-a']], token: 'sk-a' },
    { name: 'x-api-key with the word Bearer', headers: [['X-Api-Key', 'Bearer sk-a']], token: 'sk-a' },
    { name: 'api-key', headers: [['api-key', 'sk-a']], token: 'sk-a' },
    { name: 'litellm_user_api_key', headers: [['litellm_user_api_key', 'sk-a']], token: 'sk-a' },
    { name: 'x-litellm-api-key with Bearer', headers: [['x-litellm-api-key', 'Bearer sk-a']], token: 'sk-a' },
    { name: 'the access key id of a signature', headers: [signedBy('sk-a')], token: 'sk-a' },
    { name: 'the same behind the word Bearer', headers: [signedBy('Bearer sk-a')], token: 'sk-a' },
    { name: 'a token of another form, alone', headers: [['Authorization', 'Bearer my-master']], token: 'my-master' },
    {
      name: 'the same key twice',
      headers: [
        ['Authorization', 'Bearer sk-a'],
        ['x-api-key', 'sk-a'],
      ],
      token: 'sk-a',
    },
    {
      name: 'a key beside a dummy token',
      headers: [
        ['Authorization', 'Bearer dummy'],
        ['x-api-key', 'sk-a'],
      ],
      token: 'sk-a',
    },
    {
      name: 'a dummy token beside a key',
      headers: [
        ['Authorization', 'Bearer sk-a'],
        ['x-api-key', 'dummy'],
      ],
      token: 'sk-a',
    },
    {
      name: 'the first of two tokens of another form',
      headers: [
        ['Authorization', 'Bearer one'],
        ['x-api-key', 'two'],
      ],
      token: 'one',
    },
    {
      name: 'an empty header beside a key',
      headers: [
        ['Authorization', 'Bearer '],
        ['x-api-key', 'sk-a'],
      ],
      token: 'sk-a',
    },
  ])('finds a key in $name', ({ headers, token }) => {
    expect(findCredential(headers)).toMatchObject({ token, accessKeyId: undefined });
  });

  it.each<{ name: string; headers: HeaderPair[] }>([
    { name: 'no header', headers: [] },
    {
      name: 'other headers',
      headers: [
        ['Host', 'sk-a'],
        ['x-api-key-2', 'sk-a'],
        ['cookie', 'x-api-key=sk-a'],
      ],
    },
    { name: 'Basic', headers: [['Authorization', 'Basic c2stYTo=']] },
    { name: 'Digest', headers: [['Authorization', 'Digest x']] },
    { name: 'an empty Authorization', headers: [['Authorization', '']] },
    { name: 'a key without a scheme', headers: [['Authorization', 'sk-a']] },
    { name: 'Bearer alone', headers: [['Authorization', 'Bearer']] },
    { name: 'Bearer and spaces', headers: [['Authorization', 'Bearer   ']] },
    { name: 'a scheme that begins like Bearer', headers: [['Authorization', 'BearerX sk-a']] },
    { name: 'an empty x-api-key', headers: [['x-api-key', ' ']] },
  ])('finds no key in $name', ({ headers }) => {
    expect(findCredential(headers)).toMatchObject({ token: undefined, accessKeyId: undefined });
  });
});

describe('a request signed with an access key id', () => {
  it.each<{ name: string; headers: HeaderPair[]; found: Partial<ReturnType<typeof findCredential>> }>([
    { name: 'alone', headers: [signedBy('AKIDEXAMPLE')], found: { token: undefined, accessKeyId: 'AKIDEXAMPLE' } },
    {
      name: 'and a key in another header',
      headers: [signedBy('AKIDEXAMPLE'), ['x-api-key', 'sk-a']],
      found: { token: 'sk-a', accessKeyId: 'AKIDEXAMPLE' },
    },
    {
      name: 'twice: the first',
      headers: [signedBy('ONE'), signedBy('TWO')],
      found: { token: undefined, accessKeyId: 'ONE' },
    },
    {
      name: 'in lower case and without spaces',
      headers: [['authorization', 'aws4-hmac-sha256 Credential=A/b,SignedHeaders=host,Signature=c']],
      found: { token: undefined, accessKeyId: 'A' },
    },
    {
      name: 'without a credential',
      headers: [['authorization', 'AWS4-HMAC-SHA256 Signature=c']],
      found: { token: undefined, accessKeyId: '' },
    },
  ])('finds an access key id in a signature $name', ({ headers, found }) => {
    expect(findCredential(headers)).toMatchObject(found);
  });
});

describe('two different keys', () => {
  it.each<{ name: string; headers: HeaderPair[] }>([
    {
      name: 'in two headers',
      headers: [
        ['Authorization', 'Bearer sk-a'],
        ['x-api-key', 'sk-b'],
      ],
    },
    {
      name: 'in one header sent twice',
      headers: [
        ['x-api-key', 'sk-a'],
        ['x-api-key', 'sk-b'],
      ],
    },
    {
      name: 'in one Authorization sent twice',
      headers: [
        ['Authorization', 'Bearer sk-a'],
        ['Authorization', 'Bearer sk-b'],
      ],
    },
    { name: 'in a signature and a header', headers: [signedBy('sk-a'), ['litellm_user_api_key', 'sk-b']] },
  ])('refuses two different keys $name', async ({ headers }) => {
    const error = await failureOf(() => findCredential(headers));
    expect(error.code).toBe('ERR_KEYS_DIFFER');
    expect(`${error.message} ${error.hint}`).not.toMatch(/sk-[ab]/);
  });
});

describe("the caller's OAuth token", () => {
  it.each([
    { name: 'a JWT', values: ['Bearer eyJh.eyJz.c2ln'], found: 'Bearer eyJh.eyJz.c2ln' },
    { name: 'a JWT without a signature', values: ['bearer eyJh.eyJz.'], found: 'bearer eyJh.eyJz.' },
    { name: 'nothing', values: [], found: undefined },
    { name: 'a virtual key', values: ['Bearer sk-abc'], found: undefined },
    { name: 'a signature', values: ['AWS4-HMAC-SHA256 Credential=a.b.c'], found: undefined },
    { name: 'two dots too many', values: ['Bearer a.b.c.d.e'], found: undefined },
    { name: 'basic credentials', values: ['Basic a.b.c'], found: undefined },
    { name: 'two of them', values: ['Bearer a.b.c', 'Bearer d.e.f'], found: undefined },
  ])('finds an OAuth token in $name, or none', ({ values, found }) => {
    expect(
      parsePresentedCredential(
        values.map((value): HeaderPair => ['Authorization', value]),
        undefined,
      ).oauthAuthorization,
    ).toBe(found);
  });
});

describe('what the client signed for', () => {
  it.each<{ name: string; headers: HeaderPair[]; query: string | undefined; region: string | undefined }>([
    { name: 'a header', headers: [signedBy('A')], query: undefined, region: 'us-east-1' },
    {
      name: 'a presigned query',
      headers: [],
      query: 'X-Amz-Credential=K/20260101/eu-west-1/bedrock/aws4_request',
      region: 'eu-west-1',
    },
    { name: 'neither', headers: [], query: undefined, region: undefined },
  ])('reads what the client signed for from $name', ({ headers, query, region }) => {
    expect(parsePresentedCredential(headers, query).scope?.region).toBe(region);
  });
});

const inQuery = (query: string | undefined): boolean =>
  parsePresentedCredential([['x-api-key', 'my-master']], query).hasKeyInQuery;

describe('a key in the query', () => {
  const MINTED = `sk-${'aB3-_'.repeat(8)}xyz`;
  it.each([
    `key=${MINTED}`,
    `api_key=${MINTED}`,
    `a=b&access_token=${MINTED}&c`,
    `API-KEY=${MINTED}`,
    `%61pi_key=%73k%2D${MINTED.slice(3)}`,
    `anything=${MINTED}`,
    MINTED,
    `authorization=Bearer+${MINTED}`,
    `authorization=bearer%20${MINTED}`,
    'key=sk-1234',
    'token=my-master',
  ])('is seen in ?%s', (query) => {
    expect(inQuery(query)).toBe(true);
  });

  it.each([
    undefined,
    '',
    'maxResults=10&nextToken=sk-abc',
    'nameContains=sk-learn',
    'qualifier=my-master',
    `X-Amz-Credential=${MINTED}%2F20260101`,
    `name=a${MINTED}`,
    'key',
    'key=%',
    'key=abc',
  ])('is not seen in ?%s', (query) => {
    expect(inQuery(query)).toBe(false);
  });

  it('is looked for in a long query within some milliseconds', () => {
    const startedAt = performance.now();
    expect(inQuery('%6b=1&'.repeat(10_000))).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(100);
  });
});
