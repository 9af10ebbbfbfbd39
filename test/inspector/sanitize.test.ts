import { describe, expect, it } from 'vitest';
import { createSanitizer } from '../../src/inspector/sanitize.ts';
import { printExchange } from '../../src/inspector/ndjson.ts';
import { viewFrames } from '../../src/inspector/views/view-frames.ts';
import type { Exchange, KeptBody } from '../../src/inspector/exchange.ts';
import { encodeRecordedFrame } from '../../src/cassette/frames.ts';
import { bodyOf, holedBody, keptExchange } from '../helpers/kept-exchanges.ts';

const sanitize = createSanitizer('salt');
const responseWith = (type: string, body: KeptBody, status = 200): Exchange => {
  const exchange = keptExchange();
  const upstreamResponse = { status, headers: [['Content-Type', type]] as const, body };
  return { ...exchange, row: { ...exchange.row, status }, layers: { ...exchange.layers, upstreamResponse } };
};
const frameOf = (event: string, payload: unknown): Buffer => encodeRecordedFrame([0, event, payload]);
const textOf = ({ layers }: Exchange): string | undefined => layers.upstreamResponse?.body?.read().toString();

describe('a sanitized exchange', () => {
  it('says how bodies are built, and nothing of what they say', () => {
    const exchange = sanitize(keptExchange());
    expect(JSON.parse(exchange.layers.clientRequest?.body?.read().toString() ?? '')).toEqual({
      messages: [{ role: 'user', content: [{ text: '[17 characters]' }] }],
    });
    expect(JSON.parse(textOf(exchange) ?? '')).toEqual({
      output: { message: { role: 'assistant', content: [{ text: '[10 characters]' }] } },
      usage: {},
    });
  });

  it('does not say who sent it', () => {
    const line = printExchange(sanitize(keptExchange({ note: 'for Erika' })));
    for (const word of ['alice', 'key_1', 'blue', 'session-1', 'Erika', 'Where is', 'line 7']) {
      expect(line).not.toContain(word);
    }
    for (const word of ['bedrock-runtime.us-east-1.amazonaws.com', 'us.amazon.nova-lite-v1:0', 'application/json']) {
      expect(line).toContain(word);
    }
    expect(line).toContain('["X-Customer","[16 characters]"]');
  });

  it('takes out accounts and addresses of what is left', () => {
    const error =
      '{"message":"arn:aws:iam::123456789012:role/x of bob@corp.test, account 210987654321, is not allowed"}';
    expect(textOf(sanitize(responseWith('application/json', bodyOf(error), 403)))).toMatch(
      /"arn:aws:iam::000000000000:role\/x of email-[0-9a-f]{6}@example.com, account 000000000000, is not allowed"/,
    );
  });

  it('makes frames of an event stream again, with their times', () => {
    const body = bodyOf(
      Buffer.concat([
        frameOf('messageStart', { role: 'assistant' }),
        frameOf('contentBlockDelta', { delta: { text: 'secret' } }),
      ]),
      frameOf('chunk', { bytes: { delta: { text: 'secret' }, type: 'x' } }),
      encodeRecordedFrame([0, { exception: 'throttlingException', json: { message: 'Too many tokens' } }]),
    );
    const sanitized = sanitize(responseWith('application/vnd.amazon.eventstream', body));
    expect(viewFrames(sanitized, { from: 0, limit: 10 })).toMatchObject({
      problem: null,
      items: [
        { at_ms: 10.1, crc: 'ok', payload: { json: { role: 'assistant' } } },
        { at_ms: 10.1, crc: 'ok', payload: { json: { delta: { text: '[6 characters]' } } } },
        { at_ms: 20.3, crc: 'ok' },
        { at_ms: 30.4, crc: 'ok', is_exception: true, payload: { json: { message: 'Too many tokens' } } },
      ],
    });
    expect(Buffer.from(textOf(sanitized) ?? '').toString('latin1')).not.toContain('secret');
  });

  it('leaves out a stream of nothing but line ends, which would hold others up', () => {
    const startedAt = performance.now();
    const sanitized = sanitize(responseWith('text/event-stream', bodyOf('\n'.repeat(4_000_000))));
    expect(sanitized.layers.upstreamResponse?.body?.hole).toMatchObject({ why: 'sanitized' });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  it('makes server-sent events again', () => {
    const body = bodyOf('event: delta\ndata: {"type":"delta","text":"secret"}\n\n', ': secret\n\n', 'data: [DONE]\n\n');
    expect(textOf(sanitize(responseWith('text/event-stream', body)))).toBe(
      'event: delta\ndata: {"type":"delta","text":"[6 characters]"}\n\ndata: [DONE]\n\n',
    );
  });

  it.each([
    { name: 'what is no JSON', type: 'application/json', body: bodyOf('secret') },
    { name: 'what is cut', type: 'application/json', body: holedBody('{"a":"secret', 5, '"}') },
    { name: 'an image', type: 'image/png', body: bodyOf('secret') },
    { name: 'a frame that is none', type: 'application/vnd.amazon.eventstream', body: bodyOf('secret, 16 bytes') },
    { name: 'JSON that is too deep', type: 'application/json', body: bodyOf('['.repeat(5_000)) },
  ])('leaves out $name, and says so', ({ type, body }) => {
    const sanitized = sanitize(responseWith(type, body)).layers.upstreamResponse?.body;
    expect(sanitized).toMatchObject({
      hole: { at: 0, sizeBytes: body.sizeBytes, why: 'sanitized' },
      sha256: undefined,
    });
    expect(sanitized?.read()).toHaveLength(0);
  });

  it.each([
    { name: 'what a tool is called with', json: { toolUse: { name: 'x', input: { city: 'Erika' } } } },
    { name: 'names of members that are no names', json: { 'Erika Mustermann': 1 } },
    { name: 'a text where a word is expected', json: { role: 'Erika Mustermann' } },
    { name: 'a text within a list', json: { stop_sequences: ['Erika'] } },
    { name: 'a schema', json: { inputSchema: { json: { properties: { Erika: {} } } } } },
  ])('takes out $name', ({ json }) => {
    expect(textOf(sanitize(responseWith('application/json', bodyOf(JSON.stringify(json)))))).not.toContain('Erika');
  });

  it('takes out the numbers of an embedding', () => {
    expect(textOf(sanitize(responseWith('application/json', bodyOf('{"embedding":[0.1,0.2]}'))))).toBe(
      '{"embedding":[]}',
    );
  });
});
