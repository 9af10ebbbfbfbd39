/** What has ended is linked to what came before it, and a file beside the ring gets it with that. */
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { openRecord } from '../../src/domain/request-record.ts';
import type { Exchange } from '../../src/inspector/exchange.ts';
import { JoinedSource } from '../../src/inspector/joined-source.ts';
import { ExchangeRecorder } from '../../src/inspector/recorder.ts';
import { ExchangeRing, MEMORY_CAPS } from '../../src/inspector/ring.ts';
import { MACHINE_TICKS } from '../../src/lib/clock.ts';
import { sha256Hex } from '../../src/protocol/sigv4/key.ts';
import { openExchangeFile } from '../../src/store/exchanges/exchange-file.ts';
import { aClientRequest } from '../helpers/client-request.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const HEAD = { method: 'POST', httpVersion: '1.1', path: '/', userAgentHeader: undefined, traceparent: undefined };

async function openBesideFile() {
  const file = openExchangeFile(join(await makeTemporaryFolder(), 'exchanges.db'));
  const ring = new ExchangeRing(MEMORY_CAPS, Date.now);
  const joined = new JoinedSource(ring, file);
  const recorder = new ExchangeRecorder(ring, MACHINE_TICKS, { isBesideFile: true, maxPerSecond: 1e6 });
  onTestFinished(() => joined.close());
  let count = 0;
  /** A request with these messages that has come and ended; its id. */
  const pass = (texts: readonly string[]): string => {
    const record = openRecord(`r${(count += 1)}`, Date.now(), HEAD);
    const messages = texts.map((text) => ({ role: 'user', content: [{ text }] }));
    const bytes = Buffer.from(JSON.stringify({ messages }));
    const body = { chunks: [bytes], sizeBytes: bytes.length, sha256: sha256Hex(bytes), spool: undefined };
    recorder.open(record, aClientRequest())?.onBody(body);
    record.hasEnded = true;
    recorder.ended(record);
    return record.id;
  };
  return { file, recorder, pass };
}

const turnOf = (exchange: Exchange | undefined) => exchange?.conversation && exchange.conversation.turn;

describe('beside a file', () => {
  it('turns of a conversation are in the file with their places in it, however small and far apart', async () => {
    const { file, pass } = await openBesideFile();
    const ids: string[] = [];
    for (const texts of [['one'], ['one', 'two'], ['one', 'two', 'three']]) {
      ids.push(pass(texts));
      await vi.waitFor(() => expect(file.find(ids.at(-1) ?? '')).toBeDefined());
      await file.flush();
    }
    expect(ids.map((id) => turnOf(file.find(id)))).toEqual([1, 2, 3]);
    expect(file.find(ids[2] ?? '')?.conversation).toMatchObject({ id: ids[0], previous: ids[1] });
  });

  it('large ones are linked one after the other, and others get their turn between', async () => {
    const { file, pass } = await openBesideFile();
    const text = 'All that was said before. '.repeat(40_000);
    const ids = Array.from({ length: 20 }, (_, at) => pass([text, String(at)]));
    let turns = 0;
    while (file.find(ids.at(-1) ?? '') === undefined) {
      turns += 1;
      await new Promise((resolve) => void setImmediate(resolve));
    }
    expect(turns).toBeGreaterThan(3);
    await file.flush();
    expect(ids.map((id) => file.find(id)?.layers.clientRequest?.body?.read().length)).toEqual(
      ids.map((_, at) => expect.closeTo(text.length + 80 + String(at).length, -3) as number),
    );
  });

  it('what has ended is in the file although the proxy ends at once', async () => {
    const { file, recorder, pass } = await openBesideFile();
    const ids = [pass(['one']), pass(['one', 'two'])];
    recorder.finish();
    await file.flush();
    expect(ids.map((id) => turnOf(file.find(id)))).toEqual([1, 2]);
  });
});
