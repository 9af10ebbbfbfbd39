/** The kernel asks whether the other end still exists, on every connection of either side: as it says itself. */
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { startEventStream } from '../helpers/event-frames.ts';
import { openHttp2 } from '../helpers/http2-client.ts';
import { openProxy } from '../helpers/proxy-test.ts';
import { dial, requestText } from '../helpers/raw-socket.ts';
import { IS_SERVED, openWebSocketProxy } from '../helpers/websocket-testbed.ts';

const STREAM = '/bedrock/model/amazon.nova-lite-v1:0/converse-stream';
/** `tr` of proc(5), net/tcp. */
const KEEP_ALIVE_TIMER = '02';

function portOf(address: string): number {
  return Number.parseInt(address.split(':')[1] ?? '', 16);
}

/** The timers of the established connections of this machine from one port to another; undefined: any. */
function timersOf(from: number | undefined, to: number | undefined): string[] {
  const rows = readFileSync('/proc/net/tcp', 'latin1').trim().split('\n').slice(1);
  return rows.flatMap((row) => {
    const [, local = '', remote = '', state = '', , timer = ''] = row.trim().split(/\s+/);
    const isMeant = (from ?? portOf(local)) === portOf(local) && (to ?? portOf(remote)) === portOf(remote);
    return isMeant && state === '01' ? [timer.slice(0, 2)] : [];
  });
}

function begin(_: unknown, response: ServerResponse): void {
  startEventStream(response);
  response.write('begun');
}

describe.runIf(process.platform === 'linux')('a connection', () => {
  it('over HTTP/1.1 is kept alive on both sides', async () => {
    const testbed = await openProxy();
    testbed.upstream.respondWith(begin);
    await using raw = await dial(testbed.port);
    await raw.send(requestText(`POST ${STREAM} HTTP/1.1`, ['Host: localhost', 'Content-Length: 2'], '{}'));
    await raw.until('begun');
    await expect.poll(() => timersOf(testbed.port, raw.socket.localPort)).toEqual([KEEP_ALIVE_TIMER]);
    await expect.poll(() => timersOf(undefined, testbed.upstream.port)).toEqual([KEEP_ALIVE_TIMER]);
  });

  it('over HTTP/2 is kept alive', async () => {
    const testbed = await openProxy();
    await using client = openHttp2(testbed.port);
    await client.ask({ ':path': '/' });
    await expect.poll(() => timersOf(testbed.port, client.session.socket.localPort)).toEqual([KEEP_ALIVE_TIMER]);
  });

  it.runIf(IS_SERVED)('of a WebSocket is kept alive on both sides', async () => {
    const { aws, testbed, dialWebSocket } = await openWebSocketProxy();
    const upgrading = aws.nextUpgrade();
    await using raw = await dialWebSocket();
    (await upgrading).accept();
    await raw.until('101');
    await expect.poll(() => timersOf(testbed.port, raw.socket.localPort)).toEqual([KEEP_ALIVE_TIMER]);
    await expect.poll(() => timersOf(undefined, aws.port)).toEqual([KEEP_ALIVE_TIMER]);
  });
});
