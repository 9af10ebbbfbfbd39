/** What is an upgrade to WebSocket and what is an ordinary request; how one is accepted, refused, and given up. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sendJson } from '../../src/http/send-response.ts';
import type { ClientRequest, ClientResponse, ClientUpgrade } from '../../src/http/message.ts';
import { canTellUpgrades } from '../../src/server/client-upgrade.ts';
import { type RunningServer, startServer } from '../../src/server/server.ts';
import { ask, dial, requestText } from '../helpers/raw-socket.ts';

type Handler = (clientRequest: ClientRequest, clientResponse: ClientResponse) => Promise<void>;

let server: RunningServer;
let handle: Handler;

/** Says what it got: the size of the body, and whether a WebSocket was asked for. */
const tell: Handler = async (clientRequest, clientResponse) => {
  let bodyBytes = 0;
  for await (const chunk of clientRequest.openBody()) bodyBytes += (chunk as Buffer).length;
  sendJson(200, { isUpgrade: clientRequest.upgrade !== undefined, bodyBytes }, clientResponse);
};

beforeEach(async () => {
  handle = tell;
  server = await startServer({
    hosts: ['127.0.0.1'],
    port: 0,
    guard: { listenHosts: ['127.0.0.1'], allowedHosts: [], allowedOrigins: [] },
    mounts: [{ prefix: '/bedrock', handle: (...both) => handle(...both) }],
    onRefused: () => {},
  });
});

afterEach(async () => {
  await server.destroy();
  await server.drain(0);
});

const UPGRADE = ['Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket'];

function queryOf(clientRequest: ClientRequest): ClientUpgrade {
  if (clientRequest.upgrade === undefined) throw new Error('no upgrade was asked for');
  return clientRequest.upgrade;
}

/** Node 22.19 and 22.20 are supported, without WebSocket. */
const IS_SERVED = canTellUpgrades(process.versions.node);

describe('an upgrade to WebSocket', () => {
  it.runIf(IS_SERVED).each([
    { name: 'as RFC 6455 has it', headers: UPGRADE },
    { name: 'in other letters', headers: ['Host: localhost', 'connection: keep-alive, UPGRADE', 'upgrade: WebSocket'] },
    { name: 'said twice, with an equal host', headers: [...UPGRADE, 'Upgrade: websocket', 'Host: localhost'] },
    { name: 'that says it has no body', headers: [...UPGRADE, 'Content-Length: 0'] },
  ])('takes an upgrade to WebSocket: $name', async ({ headers }) => {
    const response = await ask(server.port, 'GET /bedrock/ws HTTP/1.1', headers);
    expect(JSON.parse(response.body.toString())).toEqual({ isUpgrade: true, bodyBytes: 0 });
  });

  it.each([
    {
      name: 'POST with h2c (JDK clients)',
      line: 'POST',
      headers: ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c'],
    },
    { name: 'POST with websocket', line: 'POST', headers: ['Connection: Upgrade', 'Upgrade: websocket'] },
    { name: 'GET with websocket and a body', line: 'GET', headers: ['Connection: Upgrade', 'Upgrade: websocket'] },
    { name: 'a list of protocols', line: 'GET', headers: ['Connection: Upgrade', 'Upgrade: websocket, h2c'] },
    {
      name: 'websocket twice',
      line: 'GET',
      headers: ['Connection: Upgrade', 'Upgrade: websocket', 'Upgrade: websocket'],
    },
    {
      name: 'h2c beside websocket',
      line: 'GET',
      headers: ['Connection: Upgrade', 'Upgrade: h2c', 'Upgrade: websocket'],
    },
    { name: 'no Connection: Upgrade', line: 'GET', headers: ['Upgrade: websocket'] },
    { name: 'Connection that names something else', line: 'GET', headers: ['Connection: close', 'Upgrade: websocket'] },
  ])(
    'serves an upgrade that it does not take as an ordinary request with its body: $name',
    async ({ line, headers }) => {
      const all = ['Host: localhost', ...headers, 'Content-Length: 5'];
      const response = await ask(server.port, `${line} /bedrock/x HTTP/1.1`, all, 'hello');
      expect(JSON.parse(response.body.toString())).toEqual({ isUpgrade: false, bodyBytes: 5 });
    },
  );

  it('serves an upgrade over HTTP/1.0 as an ordinary request', async () => {
    const response = await ask(server.port, 'GET /bedrock/ws HTTP/1.0', UPGRADE);
    expect(JSON.parse(response.body.toString())).toEqual({ isUpgrade: false, bodyBytes: 0 });
  });

  it('keeps the connection in order after it ignored an h2c upgrade', async () => {
    await using raw = await dial(server.port);
    const h2c = ['Host: localhost', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c'];
    for (const body of ['hello', 'hello again']) {
      const headers = [...h2c, `Content-Length: ${body.length}`];
      await raw.send(requestText('POST /bedrock/x HTTP/1.1', headers));
      await raw.send(body);
      const response = await raw.readResponse();
      expect(JSON.parse(response.body.toString())).toEqual({ isUpgrade: false, bodyBytes: body.length });
    }
  });

  it('takes no upgrade behind an unfinished response on the same connection', async () => {
    const seen: boolean[] = [];
    const first = Promise.withResolvers<void>();
    handle = async (clientRequest, clientResponse) => {
      seen.push(clientRequest.upgrade !== undefined);
      if (seen.length === 1) await first.promise;
      else first.resolve();
      sendJson(200, seen.length, clientResponse);
    };
    await using raw = await dial(server.port);
    await raw.send(requestText('GET /bedrock/a HTTP/1.1', ['Host: localhost']));
    await raw.send(requestText('GET /bedrock/ws HTTP/1.1', UPGRADE));
    expect((await raw.readResponse()).status).toBe(200);
    expect(seen).toEqual([false, false]);
  });

  it.runIf(IS_SERVED)('takes an upgrade behind a finished response on the same connection', async () => {
    await using raw = await dial(server.port);
    await raw.send(requestText('GET /bedrock/a HTTP/1.1', ['Host: localhost']));
    await raw.readResponse();
    await raw.send(requestText('GET /bedrock/ws HTTP/1.1', UPGRADE));
    expect(JSON.parse((await raw.readResponse()).body.toString())).toMatchObject({ isUpgrade: true });
  });
});

describe.runIf(IS_SERVED)('accept', () => {
  it('sends 101 with the given headers, and gives a connection that holds what came early', async () => {
    handle = async (clientRequest) => {
      const stream = queryOf(clientRequest).accept([
        ['Sec-WebSocket-Accept', 'abc='],
        ['X-Any', 'caf\u00e9'],
      ]);
      stream.on('data', (chunk: Buffer) => stream.write(`<${chunk.toString()}>`)).once('end', () => stream.end());
      await once(stream, 'close');
    };
    await using raw = await dial(server.port);
    await raw.send(Buffer.concat([requestText('GET /bedrock/ws HTTP/1.1', UPGRADE), Buffer.from('early')]));
    expect(await raw.until('<early>')).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: abc=\r\nX-Any: caf\u00e9\r\n\r\n<early>',
    );
    await raw.send('late');
    await raw.until('<late>');
    raw.socket.end();
    expect(await raw.ended).toBe('end');
  });

  it('aborts no signal if an accepted connection then ends', async () => {
    const over = Promise.withResolvers<AbortSignal>();
    handle = async (clientRequest) => {
      const stream = queryOf(clientRequest).accept([]);
      stream.resume().once('close', () => over.resolve(clientRequest.signal));
      await once(stream, 'close');
    };
    await using raw = await dial(server.port);
    await raw.send(requestText('GET /bedrock/ws HTTP/1.1', UPGRADE));
    await raw.until('101');
    raw.socket.resetAndDestroy();
    expect((await over.promise).aborted).toBe(false);
  });
});

describe.runIf(IS_SERVED)('a refused upgrade', () => {
  it("refuses an upgrade by the guard in plain HTTP, in AWS's shape, and ends the connection", async () => {
    await using raw = await dial(server.port);
    await raw.send(requestText('GET /bedrock/ws HTTP/1.1', [...UPGRADE, 'Origin: http://evil.example']));
    const response = await raw.readResponse();
    expect(response).toMatchObject({ status: 403, reason: 'Forbidden' });
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_ORIGIN_REFUSED');
    expect(response.header('connection')).toBe('close');
    expect(JSON.parse(response.body.toString())).toMatchObject({ __type: 'AccessDeniedException' });
    expect(await raw.ended).toBe('end');
  });

  it('refuses an upgrade to a client that keeps sending', async () => {
    await using raw = await dial(server.port);
    await raw.send(requestText('GET /bedrock/ws HTTP/1.1', [...UPGRADE, 'Origin: http://evil.example']));
    await raw.send(Buffer.alloc(4 * 1024 * 1024));
    expect((await raw.readResponse()).status).toBe(403);
    raw.socket.end();
    // Bytes left unread would have made a reset of it.
    expect(await once(raw.socket, 'close')).toEqual([false]);
  });

  it('sends a refusal without a length until the connection ends', async () => {
    handle = async (_, clientResponse) => {
      const sink = clientResponse.start(418, [['X-Any', 'thing']], 'I am a Teapot');
      sink.write('one, ');
      await new Promise<void>((resolve) => sink.end('two', resolve));
    };
    const response = await ask(server.port, 'GET /bedrock/ws HTTP/1.1', UPGRADE);
    expect(response).toMatchObject({ status: 418, reason: 'I am a Teapot' });
    expect(response.headers).toEqual([
      ['X-Any', 'thing'],
      ['Connection', 'close'],
    ]);
    expect(response.body.toString()).toBe('one, two');
  });

  it('resets the connection if a refusal breaks off in the middle', async () => {
    const arrived = Promise.withResolvers<void>();
    handle = async (_, clientResponse) => {
      clientResponse.start(200, []).write('half');
      await arrived.promise;
      clientResponse.breakOff();
    };
    await using raw = await dial(server.port);
    await raw.send(requestText('GET /bedrock/ws HTTP/1.1', UPGRADE));
    // On Node 22 a reset that arrives together with bytes looks like an end (libuv before 1.52).
    await raw.until('half');
    arrived.resolve();
    expect(await raw.ended).toBe('broken');
  });
});

describe('a client that leaves before its response', () => {
  it.each([
    { name: 'in order (FIN)', leave: 'end' },
    { name: 'with a reset', leave: 'resetAndDestroy' },
  ] as const)('aborts the signal if the client leaves before its response: $name', async ({ leave }) => {
    const waiting = Promise.withResolvers<AbortSignal>();
    handle = async ({ signal }) => {
      waiting.resolve(signal);
      await once(signal, 'abort');
    };
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => {}).resume();
    socket.write(requestText('GET /bedrock/ws HTTP/1.1', UPGRADE));
    const signal = await waiting.promise;
    socket[leave]();
    if (!signal.aborted) await once(signal, 'abort');
    expect(signal.aborted).toBe(true);
  });
});

describe('which Node can tell upgrades apart', () => {
  it.each([
    { version: '22.19.0', can: false },
    { version: '22.20.0', can: false },
    { version: '22.21.0', can: true },
    { version: '23.11.1', can: false },
    { version: '24.8.0', can: false },
    { version: '24.9.0', can: true },
    { version: '25.0.0', can: true },
    { version: '26.10.0', can: true },
  ])('knows whether Node $version tells upgrades apart: $can', ({ version, can }) => {
    expect(canTellUpgrades(version)).toBe(can);
  });
});
