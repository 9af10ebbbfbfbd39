/**
 * The fuzz targets of exports: a line that is read is printed again, and an exchange whose bytes are anything can be
 * sanitized, exported and recorded.
 */
import { ok, strictEqual } from 'node:assert';
import { toRecordedExchange } from '../../src/inspector/as-recording.ts';
import { exportHar } from '../../src/inspector/har.ts';
import { printExchange, readExchangeLine } from '../../src/inspector/ndjson.ts';
import { createSanitizer } from '../../src/inspector/sanitize.ts';
import { exportHtml } from '../../src/inspector/saved-page.ts';
import { ProxyError } from '../../src/lib/errors.ts';
import { bodyOf, keptExchange } from '../helpers/kept-exchanges.ts';
import type { FuzzTarget } from './engine.ts';

const HEAD = { version: '1', exportedAtMs: 0, isSanitized: true, dropped: {} };
const sanitize = createSanitizer('salt');

/** A line of an export, from anybody. */
export const EXCHANGE_LINE: FuzzTarget = {
  name: 'exchange-line',
  words: [
    '"text":',
    '"base64":',
    '"hole":{"at":1,"size_bytes":2,"why":"size"}',
    '"chunks":[[0,1,2]]',
    'null',
    '"row":',
  ],
  maxBytes: 8_192,
  check: (input) => {
    const exchange = unlessRefused(() => readExchangeLine(input, 'line 1'));
    if (exchange === undefined) return;
    const line = printExchange(exchange);
    const again = readExchangeLine(Buffer.from(line), 'line 1');
    ok(again !== undefined, 'what was printed is not read');
    strictEqual(printExchange(again), line);
    unlessRefused(() => toRecordedExchange(exchange));
    exportAll(exchange);
  },
};

const TYPES = ['application/json', 'application/vnd.amazon.eventstream', 'text/event-stream', 'image/png'];

/** The first byte says which type of content; the rest are the bytes of a response. */
export const SANITIZED: FuzzTarget = {
  name: 'sanitized',
  words: [
    'SECRETtext',
    '"SECRETtext"',
    '"role":"SECRETtext"',
    'data: ',
    '\n\n',
    '{"delta":{"text":"SECRETtext"}}',
    '[DONE]',
  ],
  maxBytes: 2_048,
  check: (input) => {
    const { layers, ...rest } = keptExchange();
    const headers = [['content-type', TYPES[(input[0] ?? 0) % TYPES.length] ?? '']] as const;
    const text = `{"text":${JSON.stringify(`SECRET ${input.subarray(1).toString('latin1')}`)}}`;
    const upstreamResponse = { status: 200, headers, body: bodyOf(input.subarray(1)) };
    const clientRequest = { headers: [['content-type', 'application/json']] as const, body: bodyOf(text) };
    const exchange = { ...rest, layers: { ...layers, clientRequest, upstreamResponse } };
    ok(!printExchange(sanitize(exchange)).includes('SECRET '), 'a text is left');
    exportAll(exchange);
  },
};

/** Seeds: the line of an exchange. */
export const EXCHANGE_SEEDS: readonly Buffer[] = [Buffer.from(printExchange(keptExchange()))];

function exportAll(exchange: ReturnType<typeof keptExchange>): void {
  const sanitized = sanitize(exchange);
  for (const each of [exchange, sanitized]) {
    JSON.parse([...exportHar([each], HEAD)].join(''));
    strictEqual([...exportHtml([each], HEAD, { script: '', style: '' })].join('').match(/<script/g)?.length, 2);
  }
}

function unlessRefused<Result>(call: () => Result): Result | undefined {
  try {
    return call();
  } catch (thrown) {
    if (thrown instanceof ProxyError && thrown.code !== 'ERR_INTERNAL') return undefined;
    throw thrown;
  }
}
