/** Exports as cassettes: an exchange that was kept is played. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importInto } from '../../src/cassette/import.ts';
import { encodeRecordedFrame } from '../../src/cassette/frames.ts';
import type { Exchange } from '../../src/inspector/exchange.ts';
import { createExportReader, toRecordedExchange } from '../../src/inspector/as-recording.ts';
import { exportNdjson } from '../../src/inspector/ndjson.ts';
import type { ProxyError } from '../../src/lib/errors.ts';
import { bodyOf, holedBody, keptExchange } from '../helpers/kept-exchanges.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const HEAD = { version: '1.2.3', exportedAtMs: 0, isSanitized: false, dropped: {} };

async function importAll(exchanges: readonly Exchange[], isSanitized = false) {
  const folder = await makeTemporaryFolder();
  const file = join(folder, 'exchanges.ndjson');
  writeFileSync(file, [...exportNdjson(exchanges, { ...HEAD, isSanitized })].join(''));
  const problems: string[] = [];
  const onProblem = (error: ProxyError): void => void problems.push(error.message);
  const directory = join(folder, 'cassette');
  const options = { version: '1.2.3', nowMs: Date.now, onProblem, readOther: createExportReader() };
  const result = await importInto(directory, file, options);
  const names = readdirSync(directory).filter((name) => /^\d/.test(name));
  return {
    result,
    problems,
    recordings: names.map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8')) as unknown),
  };
}

describe('an export in a cassette', () => {
  it('is what was recorded: request, response and times', async () => {
    const { result, recordings } = await importAll([keptExchange()]);
    expect(result).toEqual({ imported: 1, failed: 0, unplayable: 0 });
    expect(recordings).toMatchObject([
      {
        request: {
          service: 'bedrock-runtime',
          operation: 'Converse',
          method: 'POST',
          path: '/model/us.amazon.nova-lite-v1%3A0/converse',
          headers: [['Content-Type', 'application/json']],
          body: { json: { messages: [{ role: 'user', content: [{ text: 'Where is the bug?' }] }] } },
        },
        response: { status: 200, end: 'complete', firstByteMs: 7.5 },
      },
    ]);
  });

  it('has frames with their times from the first byte on', () => {
    const { layers, row, ...rest } = keptExchange();
    const frame = encodeRecordedFrame([0, 'messageStop', {}]);
    const headers = [['Content-Type', 'application/vnd.amazon.eventstream']] as const;
    const recorded = toRecordedExchange({
      ...rest,
      row: { ...row, isStreamed: true },
      times: { sentMs: 1, headMs: 9, firstByteMs: 10.125 },
      layers: { ...layers, upstreamResponse: { status: 200, headers, body: bodyOf(frame, frame) } },
    });
    expect(recorded?.capture.received.map(({ atMs }) => atMs)).toEqual([0, 10.125]);
    expect(recorded).toMatchObject({ isStream: true, isBidirectional: false, capture: { firstByteMs: 9.125 } });
  });

  it.each([
    { name: 'a refusal of the proxy', exchange: keptExchange({ end: 'refused' }) },
    { name: 'one whose client left', exchange: keptExchange({ end: 'client-gone' }) },
    { name: 'one under way', exchange: keptExchange({ end: 'open' }) },
    { name: 'one of which only the row is there', exchange: keptExchange({ layers: {} }) },
  ])('does not have $name, and says so', async ({ exchange }) => {
    const result = { imported: 0, failed: 0, unplayable: 1 };
    expect(await importAll([exchange])).toEqual({ result, problems: [], recordings: [] });
  });

  it('refuses one whose bytes are not all there, and takes the others', async () => {
    const { layers } = keptExchange();
    const cut = { ...layers, upstreamResponse: { status: 200, headers: [], body: holedBody('{', 5, '}') } };
    const { result, problems } = await importAll([keptExchange({ layers: cut }), keptExchange({ id: 'req-2' })]);
    expect(result).toEqual({ imported: 1, failed: 1, unplayable: 0 });
    expect(problems).toEqual([
      expect.stringMatching(/line 2 cannot be used: of its response 5 bytes were not kept\.$/),
    ]);
  });

  it('refuses an export without its texts, once', async () => {
    const { result, problems } = await importAll([keptExchange(), keptExchange({ id: 'req-2' })], true);
    expect(result).toEqual({ imported: 0, failed: 1, unplayable: 0 });
    expect(problems).toEqual([expect.stringMatching(/line 1 cannot be used: its texts were taken out\.$/)]);
  });
});
