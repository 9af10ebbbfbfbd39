/**
 * The request whose keys, admission and ledger row the bench measures, as the stages of the proxy see it.
 */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { type RequestRecord, openRecord } from '../src/domain/request-record.ts';
import type { Principal } from '../src/domain/principal.ts';
import type { VirtualKeyRow } from '../src/domain/key.ts';
import { type ClientRequest, describeHead, type HeaderPair } from '../src/http/message.ts';
import { parseTarget } from '../src/http/target.ts';
import { findRoute } from '../src/routing/route.ts';

/** 4 kB, as a program sends that asks about a page of text. */
export const BODY = Buffer.from(
  JSON.stringify({
    system: [{ text: 'Answer in one sentence.' }],
    messages: [{ role: 'user', content: [{ text: 'The quick brown fox jumps over the lazy dog. '.repeat(85) }] }],
    inferenceConfig: { maxTokens: 1_024, temperature: 0.2 },
  }),
);
/** What counts of its headers. */
export const HEADERS: readonly HeaderPair[] = [
  ['Content-Type', 'application/json'],
  ['User-Agent', 'Boto3/1.40.0 md/Botocore#1.40.0 ua/2.1 os/linux lang/python#3.13.0'],
];
const TARGET = '/bedrock/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse';
const CLIENT_REQUEST: ClientRequest = {
  method: 'POST',
  target: parseTarget(TARGET),
  headers: HEADERS,
  authority: 'localhost:4000',
  httpVersion: '1.1',
  peerAddress: '127.0.0.1',
  openBody: () => Readable.from([]),
  signal: new AbortController().signal,
  cut: () => {},
  upgrade: undefined,
};
/** Where it goes. */
export const ROUTE = findRoute({
  method: 'POST',
  target: parseTarget(TARGET),
  scope: undefined,
  headers: HEADERS,
  mountPath: '/bedrock',
  config: {
    defaultRegion: 'us-east-1',
    openaiUpstream: 'runtime',
    fips: false,
    dualstack: false,
    endpointUrls: new Map(),
  },
});

/** A request of this key that has come in. */
export function openKeyRecord({ id, alias, policy, tags }: VirtualKeyRow): {
  record: RequestRecord;
  principal: Principal;
} {
  const record = openRecord(randomUUID(), Date.now(), describeHead(CLIENT_REQUEST));
  const principal: Principal = { kind: 'key', keyId: id, label: alias ?? id, policy, tags };
  record.principal = principal;
  record.route = ROUTE;
  record.requestBytes = BODY.length;
  return { record, principal };
}

/** What a response has reported. */
export function finishRecord(record: RequestRecord, costNanoUsd: number): void {
  record.status = 200;
  record.upstreamRequestId = randomUUID();
  record.usage = { inputTokens: 800, outputTokens: 200 };
  record.pricing = 'priced';
  record.costNanoUsd = costNanoUsd;
  record.chargedNanoUsd = costNanoUsd;
  record.firstByteMs = 350;
  record.totalMs = 2_400;
  record.responseBytes = 3_000;
}
