import { describeHead, findHeader, foldHeaders } from '../../src/http/message.ts';
import { describe, expect, it } from 'vitest';
import { openRecord } from '../../src/domain/request-record.ts';
import { aClientRequest } from '../helpers/client-request.ts';

describe('openRecord', () => {
  it('begins a record with what the request says and nothing else', () => {
    const headers = [
      ['User-Agent', 'curl/8'],
      ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
    ] as const;
    const rawTarget = '/bedrock/model/a%2Fb/converse';
    const request = aClientRequest({ method: 'POST', rawTarget, httpVersion: '2', headers });
    expect(openRecord('id-1', 1_700_000_000_000, describeHead(request))).toEqual({
      phase: 'received',
      upstreamStatus: undefined,
      bodyMs: 0,
      id: 'id-1',
      startedAtMs: 1_700_000_000_000,
      method: 'POST',
      httpVersion: '2',
      path: '/bedrock/model/a%2Fb/converse',
      principal: undefined,
      route: undefined,
      status: undefined,
      upstreamRequestId: undefined,
      upstreamErrorType: undefined,
      userAgentHeader: 'curl/8',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      model: undefined,
      usage: undefined,
      serviceTier: undefined,
      pricing: undefined,
      costNanoUsd: undefined,
      chargedNanoUsd: 0,
      partial: false,
      firstByteMs: undefined,
      totalMs: undefined,
      overheadMs: undefined,
      sentMs: undefined,
      isStreamed: false,
      hasEnded: false,
      requestBytes: 0,
      responseBytes: 0,
      error: undefined,
    });
  });

  it.each([
    { rawTarget: '/a?b=c', path: '/a' },
    { rawTarget: '/a?', path: '/a' },
    { rawTarget: '/a?b?c', path: '/a' },
    { rawTarget: '?x', path: '' },
    { rawTarget: '/%3F', path: '/%3F' },
    { rawTarget: '', path: '' },
  ])('leaves the query of $rawTarget out of the path', ({ rawTarget, path }) => {
    expect(openRecord('id', 0, describeHead(aClientRequest({ rawTarget }))).path).toBe(path);
  });
});

describe('findHeader', () => {
  const headers = [
    ['X-Api-Key', 'first'],
    ['x-api-key', 'second'],
    ['Empty', ''],
  ] as const;

  it.each([
    { name: 'x-api-key', found: 'first' },
    { name: 'empty', found: '' },
    { name: 'x-api-ke', found: undefined },
    { name: 'constructor', found: undefined },
  ])('finds the header $found under $name', ({ name, found }) => {
    expect(findHeader(headers, name)).toBe(found);
  });
});

describe('foldHeaders', () => {
  it('folds repeated headers in their order under one lower-case name, whatever the name', () => {
    const folded = foldHeaders([
      ['Set-Cookie', 'a'],
      ['X', '1'],
      ['set-cookie', 'b'],
      ['SET-COOKIE', 'c'],
      ['__proto__', 'd'],
    ]);
    expect(Object.entries(folded)).toEqual([
      ['set-cookie', ['a', 'b', 'c']],
      ['x', '1'],
      ['__proto__', 'd'],
    ]);
  });
});
