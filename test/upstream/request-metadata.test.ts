import { describe, expect, it } from 'vitest';
import type { Principal } from '../../src/domain/principal.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { addRequestMetadata } from '../../src/upstream/request-metadata.ts';
import { failureOf } from '../helpers/failure.ts';

const INVOKE = { service: 'bedrock-runtime', operation: 'InvokeModel' } as const;
const NAME = 'X-Amzn-Bedrock-Request-Metadata';

const keyOf = (alias: string | undefined, tags: Readonly<Record<string, string>> = {}): Principal => ({
  kind: 'key',
  keyId: 'vk_1',
  label: 'sk-…abcd',
  alias,
  policy: EMPTY_POLICY,
  tags,
});

function told(principal: Principal, given?: object | string): unknown {
  const value = typeof given === 'object' ? JSON.stringify(given) : given;
  const headers = addRequestMetadata(value === undefined ? [] : [[NAME, value]], INVOKE, principal);
  expect(headers.map(([name]) => name)).toEqual(['x-amzn-bedrock-request-metadata']);
  expect(headers[0]?.[1]).toMatch(/^[\x20-\x7e]*$/);
  return JSON.parse(headers[0]?.[1] ?? '');
}

const many = (prefix: string): Record<string, string> =>
  Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`${prefix}${at}`, 'x']));

describe('the metadata of a request', () => {
  it('has alias and tags of the key, its id if it has no alias, and the others by what they are', () => {
    expect(told(keyOf('search', { team: 'a' }))).toEqual({ bedrock_proxy_key: 'search', team: 'a' });
    expect(told(keyOf(undefined))).toEqual({ bedrock_proxy_key: 'vk_1' });
    expect(told({ kind: 'master', label: 'master' })).toEqual({ bedrock_proxy_key: 'master' });
    expect(told({ kind: 'anonymous', label: 'anonymous' })).toEqual({ bedrock_proxy_key: 'anonymous' });
  });

  it("has the client's as well, which replace nothing of the key", () => {
    const given = { bedrock_proxy_key: 'boss', team: 'b', run: '7' };
    expect(told(keyOf('search', { team: 'a', bedrock_proxy_key: 'tag' }), given)).toEqual({
      bedrock_proxy_key: 'search',
      team: 'a',
      run: '7',
    });
  });

  it("has sixteen entries at most, the key's first", () => {
    const few = told(keyOf('search', { team: 'a' }), many('c')) as object;
    expect([Object.keys(few).length, Object.keys(few).slice(0, 3)]).toEqual([16, ['bedrock_proxy_key', 'team', 'c0']]);
    expect(Object.keys(told(keyOf('search', many('t')), { c: 'x' }) as object)).not.toContain('c');
  });

  it('has letters that AWS takes, and not too many of them', () => {
    expect(told(keyOf('größe;x', { note: 'y'.repeat(300) }))).toEqual({
      bedrock_proxy_key: 'gr--e-x',
      note: 'y'.repeat(256),
    });
    expect(told(keyOf('a'), '{"b":"\\u4e2d"}')).toEqual({ bedrock_proxy_key: 'a', b: '中' });
  });

  it.each(['', 'x', '[]', '"a"', '{"a":1}', '{"a":"b"', '{"a":"b"},{"c":"d"}'])(
    'is not left away by a header that cannot be read: %s',
    async (value) => {
      expect((await failureOf(() => told(keyOf('a'), value))).code).toBe('ERR_BAD_REQUEST');
    },
  );

  it('is not left away by two headers', async () => {
    const headers = [
      [NAME, '{"a":"b"}'],
      [NAME, '{"c":"d"}'],
    ] as const;
    expect((await failureOf(() => addRequestMetadata(headers, INVOKE, keyOf('a')))).code).toBe('ERR_BAD_REQUEST');
  });

  it.each([
    { service: 'bedrock-runtime', operation: 'Converse' },
    { service: 'bedrock-runtime', operation: undefined },
    { service: 'bedrock-agent-runtime', operation: 'InvokeModel' },
  ] as const)('is nothing for $service $operation', (route) => {
    const headers = [[NAME, 'x']] as const;
    expect(addRequestMetadata(headers, route, keyOf('a'))).toBe(headers);
  });
});
