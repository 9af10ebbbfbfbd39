/** An export as a file, while requests pass. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { exportFile } from '../../src/app/export-file.ts';
import { keptBody, keptExchange } from '../helpers/kept-exchange.ts';

const REQUEST = { version: '0', dropped: {}, exportedAtMs: 0 };

describe('an export', () => {
  it.each(['ndjson', 'har', 'html'] as const)('as %s lets others have their turn', async (format) => {
    const text = JSON.stringify({ messages: Array.from({ length: 10_000 }, () => ({ role: 'user', content: 'a' })) });
    const { layers } = keptExchange();
    const { clientRequest } = layers;
    if (clientRequest === undefined) throw new Error('It has one.');
    const body = keptBody([text]);
    const exchange = keptExchange({ layers: { ...layers, clientRequest: { ...clientRequest, body } } });
    let turns = 0;
    const over = new AbortController();
    const others = (async () => {
      for (; !over.signal.aborted; turns += 1) await nextTurn();
    })();
    const many = Array.from({ length: 20 }, (_, at) => ({ ...exchange, id: `r${at}` }));
    const { body: file } = await exportFile(many, { ...REQUEST, format, isSanitized: true });
    over.abort();
    await others;
    expect(file.length).toBeGreaterThan(20 * 1_000);
    expect(turns).toBeGreaterThan(10);
  });
});
