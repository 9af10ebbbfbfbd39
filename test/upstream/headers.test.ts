import { describe, expect, it } from 'vitest';
import type { HeaderPair } from '../../src/http/message.ts';
import {
  isSigned,
  refuseLoop,
  selectClientHeaders,
  type SelectionFacts,
  selectUpstreamHeaders,
} from '../../src/upstream/headers.ts';

const IDENTITY: HeaderPair = ['accept-encoding', 'identity'];
const FACTS: SelectionFacts = { viaName: undefined, keepsTarget: false };

/** Headers a client may send, and whether they reach AWS. */
const UPSTREAM_POLICY: readonly { readonly name: string; readonly passes: boolean }[] = [
  ...[
    'Accept',
    'Content-Type',
    'User-Agent',
    'X-Amz-User-Agent',
    'Amz-Sdk-Request',
    'Amz-Sdk-Invocation-Id',
    'X-Amzn-Trace-Id',
    'X-Amzn-Bedrock-Trace',
    'X-Amzn-Bedrock-GuardrailIdentifier',
    'X-Amzn-Bedrock-PerformanceConfig-Latency',
    'X-Amzn-Bedrock-AgentCore-Runtime-Session-Id',
    'Anthropic-Beta',
    'Anthropic-Version',
    'If-None-Match',
    'Traceparent',
    'X-Forwarded-For',
    'Content-Encoding',
    'Date',
    'X-Made-Up',
  ].map((name) => ({ name, passes: true })),
  ...[
    'Connection',
    'Keep-Alive',
    'Proxy-Authenticate',
    'Proxy-Authorization',
    'Proxy-Connection',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
    'HTTP2-Settings',
    'Authorization',
    'Cookie',
    'X-Api-Key',
    'Api-Key',
    'LiteLLM_User_Api_Key',
    'X-LiteLLM-Api-Key',
    'X-Amz-Date',
    'X-Amz-Content-Sha256',
    'X-Amz-Security-Token',
    'Host',
    'Content-Length',
    'Accept-Encoding',
    'Expect',
    'X-Bedrock-Proxy-Region',
    'X-Bedrock-Proxy-Anything',
    'X-Amz-Target',
  ].map((name) => ({ name, passes: false })),
];

describe('client headers on their way to AWS', () => {
  it.each(UPSTREAM_POLICY)('decides on the client header $name: passes $passes', ({ name, passes }) => {
    for (const spelling of [name, name.toLowerCase(), name.toUpperCase()]) {
      const expected = passes ? [[spelling, 'value'], IDENTITY] : [IDENTITY];
      expect(selectUpstreamHeaders([[spelling, 'value']], FACTS)).toEqual(expected);
    }
  });

  it('keeps order, spelling, repeats and bytes of client headers', () => {
    const headers: HeaderPair[] = [
      ['X-Two', 'b'],
      ['x-one', ''],
      ['X-TWO', '\u00c3\u00a9  spaced '],
      ['X-Two', 'b'],
    ];
    expect(selectUpstreamHeaders(headers, FACTS)).toEqual([...headers, IDENTITY]);
  });

  it('leaves out client headers that Connection names, in every spelling and from every Connection header', () => {
    const headers: HeaderPair[] = [
      ['X-One', '1'],
      ['CONNECTION', 'close, x-ONE ,'],
      ['x-two', '2'],
      ['connection', 'X-Two'],
      ['x-three', '3'],
    ];
    expect(selectUpstreamHeaders(headers, FACTS)).toEqual([['x-three', '3'], IDENTITY]);
  });

  it('keeps a header that means something to AWS though Connection names it', () => {
    const kept: HeaderPair[] = [
      ['Content-Type', 'application/json'],
      ['X-Amzn-Bedrock-GuardrailIdentifier', 'strict'],
    ];
    const names: HeaderPair = ['Connection', 'content-type, x-amzn-bedrock-guardrailidentifier, x-mine'];
    expect(selectUpstreamHeaders([...kept, ['X-Mine', 'hop'], names], FACTS)).toEqual([...kept, IDENTITY]);
  });

  it('asks AWS for identity even if Connection names accept-encoding', () => {
    expect(selectUpstreamHeaders([['connection', 'accept-encoding']], FACTS)).toEqual([IDENTITY]);
  });

  it('keeps X-Amz-Target if it names the operation', () => {
    const headers: HeaderPair[] = [['X-Amz-Target', 'AgentCore.Something']];
    expect(selectUpstreamHeaders(headers, { ...FACTS, keepsTarget: true })).toEqual([...headers, IDENTITY]);
  });

  it('adds Via only if the upstream could be ourselves, behind the Via of others', () => {
    const headers: HeaderPair[] = [['Via', '1.1 corporate']];
    expect(selectUpstreamHeaders(headers, { ...FACTS, viaName: 'bedrock-proxy-1' })).toEqual([
      ['Via', '1.1 corporate'],
      IDENTITY,
      ['via', '1.1 bedrock-proxy-1'],
    ]);
  });
});

describe('refuseLoop', () => {
  it.each<{ headers: HeaderPair[]; is: boolean }>([
    { headers: [['via', '1.1 us']], is: true },
    { headers: [['VIA', '2 a, 1.1 us, 1.1 b']], is: true },
    {
      headers: [
        ['via', '1.1 a'],
        ['via', '1.1 us'],
      ],
      is: true,
    },
    { headers: [['via', '1.1 other']], is: false },
    { headers: [['x-via', '1.1 us']], is: false },
    { headers: [], is: false },
  ])('sees a loop in $headers: $is', ({ headers, is }) => {
    const attempt = (): void => refuseLoop(headers, 'us');
    if (is) expect(attempt).toThrow(expect.objectContaining({ code: 'ERR_LOOP' }));
    else expect(attempt).not.toThrow();
    expect(() => refuseLoop(headers, undefined)).not.toThrow();
  });
});

describe("AWS's headers on their way to the client", () => {
  it.each([
    'x-amzn-RequestId',
    'Content-Length',
    'Content-Type',
    'Date',
    'Set-Cookie',
    'X-Amzn-Errortype',
    'Retry-After',
    'x-litellm-model-id',
  ])("passes AWS's header %s on as it is", (name) => {
    expect(selectClientHeaders([[name, 'v']])).toEqual([[name, 'v']]);
  });

  it.each([
    'Connection',
    'Keep-Alive',
    'Transfer-Encoding',
    'Trailer',
    'Upgrade',
    'Proxy-Authenticate',
    'X-Bedrock-Proxy-Error',
    'x-bedrock-proxy-cost',
    'X-LiteLLM-Call-Id',
    'x-litellm-response-cost',
  ])("keeps AWS's header %s from the client", (name) => {
    expect(selectClientHeaders([[name, 'v']])).toEqual([]);
  });

  it('leaves out headers of AWS that Connection names', () => {
    const headers: HeaderPair[] = [
      ['Connection', 'X-Hop'],
      ['x-hop', '1'],
      ['x-end', '2'],
    ];
    expect(selectClientHeaders(headers)).toEqual([['x-end', '2']]);
  });
});

describe('what the signature covers', () => {
  it.each([
    'host',
    'content-type',
    'x-amz-date',
    'x-amz-target',
    'x-amz-user-agent',
    'x-amzn-bedrock-agentcore-runtime-session-id',
    'x-amzn-bedrock-trace',
  ])('signs the header %s', (name) => {
    expect(isSigned(name)).toBe(true);
  });

  it.each([
    'user-agent',
    'accept',
    'x-amzn-trace-id',
    'x-amz-cf-id',
    'via',
    'x-forwarded-for',
    'amz-sdk-request',
    'content-length',
  ])('does not sign the header %s', (name) => {
    expect(isSigned(name)).toBe(false);
  });
});
