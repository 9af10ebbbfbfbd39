import { describe, expect, it } from 'vitest';
import { readExchangeLine, readExchanges, printExchange, printExportHead } from '../../src/inspector/ndjson.ts';
import { bodyOf, comparable, holedBody, keptExchange } from '../helpers/kept-exchanges.ts';

describe('exchanges as lines', () => {
  it.each([
    { name: 'that went well', exchange: keptExchange() },
    {
      name: 'with bytes that are no text, and a hole',
      exchange: keptExchange({
        clientStream: bodyOf(new Uint8Array([0, 255, 254, 1]), '\ufeffbom', '\u2028'),
        layers: {
          clientRequest: { method: 'POST', target: '/x', headers: [], body: holedBody('{"a', 5_000_000, '}') },
        },
      }),
    },
    {
      name: 'of which nothing is known but its row',
      exchange: keptExchange({
        row: {
          ...keptExchange().row,
          principal: undefined,
          keyId: undefined,
          keyLabel: undefined,
          status: undefined,
          usage: undefined,
          tags: {},
          pricing: 'unpriced',
          costNanoUsd: undefined,
        },
        end: 'client-gone',
        times: {},
        layers: {},
        signing: undefined,
        conversation: undefined,
        attempt: { number: 2, previous: 'req-0' },
        failedAttempts: ['eu: throttled'],
        omitted: 'opt-out',
        parent: 'req-0',
        isEdited: true,
        isPinned: true,
        note: 'a "note"\nof two lines',
      }),
    },
  ])('reads what it has printed of one $name', ({ exchange }) => {
    const line = printExchange(exchange);
    expect(line.trimEnd()).not.toContain('\n');
    expect(readExchanges(line).map(comparable)).toEqual([comparable(exchange)]);
    expect(printExchange(readExchanges(line)[0] ?? exchange)).toBe(line);
  });

  it('leaves out blank lines and the first one, which says what the file is', () => {
    const head = printExportHead({ version: '1.2.3', exportedAtMs: 0, isSanitized: true, dropped: { memory: 2 } });
    expect(JSON.parse(head)).toEqual({
      format: 'bedrock-proxy-exchanges',
      version: 1,
      by: 'bedrock-proxy 1.2.3',
      exported: '1970-01-01T00:00:00.000Z',
      sanitized: true,
      dropped: { memory: 2 },
    });
    expect(readExchanges(`${head}\r\n${printExchange(keptExchange())}\n`)).toHaveLength(1);
  });

  const whole = JSON.parse(printExchange(keptExchange())) as Record<string, unknown>;
  const row = whole['row'] as object;
  it.each([
    { name: 'no JSON', line: '{"format":', says: 'It is no JSON' },
    { name: 'no object', line: '[1]', says: 'It is no object' },
    { name: 'of another format', line: '{"version":1}', says: '/format is not bedrock-proxy-exchange' },
    { name: 'of a newer version', line: JSON.stringify({ ...whole, version: 2 }), says: '/version is not 1' },
    { name: 'too deep', line: '['.repeat(100_000), says: 'its JSON is too deep' },
    { name: 'without a row', line: JSON.stringify({ ...whole, row: 1 }), says: '/row is no object' },
    {
      name: 'with a status that is text',
      line: JSON.stringify({ ...whole, row: { ...row, status: '200' } }),
      says: '/row/status',
    },
    {
      name: 'with tags that are objects',
      line: JSON.stringify({ ...whole, row: { ...row, tags: { a: {} } } }),
      says: '/row/tags',
    },
    { name: 'with an end of its own', line: JSON.stringify({ ...whole, end: 'soon' }), says: '/end is none of open' },
    {
      name: 'with layers that are a list',
      line: JSON.stringify({ ...whole, layers: [] }),
      says: '/layers is no object',
    },
    {
      name: 'with fewer bytes than it says',
      line: JSON.stringify({ ...whole, client_stream: { size_bytes: 9, text: 'eight..' } }),
      says: 'a body has not as many bytes as it says',
    },
    {
      name: 'with a hole that is larger than the body',
      line: JSON.stringify({
        ...whole,
        client_stream: { size_bytes: 9, hole: { at: 5, size_bytes: 5, why: 'size' }, text: 'four' },
      }),
      says: '/client_stream/hole is beyond its end',
    },
    {
      name: 'with a chunk beyond the end',
      line: JSON.stringify({ ...whole, client_stream: { size_bytes: 1, text: '1', chunks: [[0, 2, 1]] } }),
      says: 'chunks has one that is none',
    },
    {
      name: 'with a time that is none',
      line: JSON.stringify({ ...whole, times: { sent_ms: 0.5 } }).replace('0.5', '1e999'),
      says: '/times/sent_ms is no number',
    },
    {
      name: 'with headers that are no pairs',
      line: JSON.stringify({ ...whole, layers: { client_request: { headers: [['a']] } } }),
      says: '/layers/client_request/headers is no list of headers',
    },
  ])('refuses a line that is $name, and says where', ({ line, says }) => {
    expect(() => readExchangeLine(Buffer.from(line), 'line 3')).toThrow(
      `The exchange of line 3 cannot be read: ${says}`,
    );
  });
});
