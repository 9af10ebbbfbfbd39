import type { Har } from 'har-format';
import { describe, expect, it } from 'vitest';
import { encodeRecordedFrame } from '../../src/cassette/frames.ts';
import type { Exchange } from '../../src/inspector/exchange.ts';
import { exportHar } from '../../src/inspector/har.ts';
import { bodyOf, holedBody, keptExchange } from '../helpers/kept-exchanges.ts';

const HEAD = { version: '1.2.3', exportedAtMs: 0, isSanitized: false, dropped: { memory: 2 } };

function toHar(...exchanges: Exchange[]): Har {
  return JSON.parse([...exportHar(exchanges, HEAD)].join('')) as Har;
}

function entryOf(exchange: Exchange): Har['log']['entries'][number] & Readonly<Record<string, unknown>> {
  const [entry] = toHar(exchange).log.entries;
  if (entry === undefined) throw new Error('There is an entry.');
  return entry as unknown as ReturnType<typeof entryOf>;
}

function responding(type: string, body: Exchange['clientStream'], clientStream?: Exchange['clientStream']): Exchange {
  const { layers, ...rest } = keptExchange();
  const headers = [['Content-Type', type]] as const;
  const upstreamResponse = { status: 200, headers, body };
  return {
    ...rest,
    clientStream,
    layers: { ...layers, upstreamResponse, clientResponse: { ...upstreamResponse, body: undefined } },
  };
}

describe('a HAR', () => {
  it('says who made it, and what is not in it', () => {
    const { log } = toHar();
    expect(log).toMatchObject({ version: '1.2', creator: { name: 'bedrock-proxy', version: '1.2.3' }, entries: [] });
    expect(log.comment).toContain('Not sanitized: contains prompts. Content that was not kept: 2 (memory).');
  });

  it('has what the client sent and got, and when', () => {
    const entry = entryOf(keptExchange());
    expect(entry).toMatchObject({
      startedDateTime: '2026-11-28T12:00:00.250Z',
      request: {
        method: 'POST',
        url: 'http://localhost:4000/bedrock/model/us.amazon.nova-lite-v1%3A0/converse',
        httpVersion: 'HTTP/1.1',
        queryString: [],
        bodySize: 71,
        postData: { mimeType: 'application/json', text: expect.stringContaining('Where is the bug?') },
      },
      response: {
        status: 200,
        statusText: 'OK',
        content: { mimeType: 'application/json', text: expect.stringContaining('In line 7.') },
        redirectURL: '',
      },
      cache: {},
      timings: { blocked: 1.5, send: 0, wait: 7.5, receive: 0 },
      _id: 'req-1',
      _signedRequest: {
        url: 'https://bedrock-runtime.us-east-1.amazonaws.com/model/us.amazon.nova-lite-v1%3A0/converse',
      },
    });
    const { blocked = 0, send = 0, wait, receive } = entry.timings;
    expect(entry.time).toBe(blocked + send + wait + receive);
  });

  it('has every member that HAR demands, of an exchange of which little is known', () => {
    const { row } = keptExchange();
    const entry = entryOf(keptExchange({ layers: {}, times: {}, row: { ...row, totalMs: undefined }, omitted: 'off' }));
    for (const name of [
      'method',
      'url',
      'httpVersion',
      'cookies',
      'headers',
      'queryString',
      'headersSize',
      'bodySize',
    ]) {
      expect(entry.request).toHaveProperty(name);
    }
    for (const name of ['status', 'statusText', 'httpVersion', 'cookies', 'headers', 'content', 'redirectURL']) {
      expect(entry.response).toHaveProperty(name);
    }
    expect(entry.comment).toContain('Content is not kept: off.');
    expect(entry.timings).toEqual({ blocked: 0, send: 0, wait: 0, receive: 0 });
  });

  it('has bytes as base64, says so, and what is missing', () => {
    const binary = entryOf(responding('image/png', bodyOf(new Uint8Array([137, 80, 78, 71]))));
    expect(binary.response.content).toEqual({ size: 4, mimeType: 'image/png', text: 'iVBORw==', encoding: 'base64' });
    const cut = entryOf(responding('application/json', holedBody('{"a', 5, '}')));
    expect(cut.response.content.comment).toBe('5 bytes from 3 on are not kept (size).');
  });

  it('has the frames of an event stream with their times and checksums', () => {
    const frame = encodeRecordedFrame([0, 'messageStart', { role: 'assistant' }]);
    expect(entryOf(responding('application/vnd.amazon.eventstream', bodyOf(frame)))['_frames']).toEqual([
      {
        time: 10.125,
        direction: 'in',
        type: 'messageStart',
        size: frame.length,
        crc: 'ok',
        data: { json: { role: 'assistant' } },
      },
    ]);
  });

  it('has server-sent events as browsers do', () => {
    const body = bodyOf('event: ping\ndata: {"a":1}\n\n');
    expect(entryOf(responding('text/event-stream', body))['_eventSourceMessages']).toEqual([
      { time: (Date.UTC(2026, 10, 28, 12, 0, 0, 250) + 10.125) / 1000, eventName: 'ping', data: '{"a":1}' },
    ]);
  });
});
