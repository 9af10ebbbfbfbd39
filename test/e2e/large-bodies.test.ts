/**
 * Bodies as large as AgentCore takes them, through the program in a process of its own: its memory stays where it was,
 * nothing of them stays on disk, and no handle stays open, however the upload ends.
 * @module-tag slow
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeUpstream, sendJson } from '../helpers/fake-upstream.ts';
import { openHttp2, readHttp2Response } from '../helpers/http2-client.ts';
import { launchServer, openProgramTest, type RunningServer } from '../helpers/program.ts';
import { ask } from '../helpers/raw-socket.ts';

const ARN = 'arn%3Aaws%3Abedrock-agentcore%3Aus-east-1%3A123456789012%3Aruntime%2Fmy_agent-1234567890';
const AGENT_PATH = `/bedrock/runtimes/${ARN}/invocations`;
const MODEL_PATH = '/bedrock/model/a/invoke';
const MB = 1_000_000;
const PIECE = Buffer.alloc(100_000, 'The quick brown fox jumps over the lazy dog. ');
/**
 * Above the memory of a server that has carried one large body already: the first one brings its heap to working size.
 * A body of 100 MB held in memory would be far above.
 */
const MAX_GROWTH_MB = 60;

let upstream: FakeUpstream;
let server: RunningServer;
let spoolFolder: string;

beforeEach(async () => {
  const place = await openProgramTest();
  ({ upstream } = place);
  upstream.respondWith(({ body }, response) =>
    sendJson(response, 200, { sizeBytes: body.length, sha256: createHash('sha256').update(body).digest('hex') }),
  );
  spoolFolder = join(place.folder, 'tmp');
  await mkdir(spoolFolder);
  server = await launchServer([], {
    ...place.environment,
    TMPDIR: spoolFolder,
    TEMP: spoolFolder,
  });
  await upload('content-length', AGENT_PATH, 40 * MB);
}, 60_000);

afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

/** `sizeBytes` of pieces, each with its own number, and what their hash is. */
function makeBody(sizeBytes: number): { stream: () => Readable; sha256: string } {
  const pieces = function* (): Generator<Buffer> {
    for (let index = 0; index * PIECE.length < sizeBytes; index += 1) {
      const piece = Buffer.from(PIECE);
      piece.writeUInt32BE(index);
      yield piece;
    }
  };
  const hash = createHash('sha256');
  for (const piece of pieces()) hash.update(piece);
  return { stream: () => Readable.from(pieces()), sha256: hash.digest('hex') };
}

type Way = 'content-length' | 'chunked' | 'HTTP/2';

async function upload(way: Way, path: string, sizeBytes: number): Promise<{ status: number; response: unknown }> {
  const { stream, sha256 } = makeBody(sizeBytes);
  const sent = { sizeBytes, sha256 };
  const { status, text } =
    way === 'HTTP/2' ? await uploadHttp2(path, stream()) : await uploadHttp1(way, path, sizeBytes, stream());
  expect(JSON.parse(text)).toEqual(sent);
  return { status, response: sent };
}

async function uploadHttp1(way: Way, path: string, sizeBytes: number, body: Readable) {
  const framing = way === 'chunked' ? {} : { 'content-length': sizeBytes };
  const headers = { 'content-type': 'application/octet-stream', ...framing };
  const sent = request({ host: '127.0.0.1', port: server.port, method: 'POST', path, headers, agent: false });
  const answered = once(sent, 'response');
  await pipeline(body, sent);
  const [response] = (await answered) as [Readable & { statusCode: number }];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, text };
}

async function uploadHttp2(path: string, body: Readable) {
  await using client = openHttp2(server.port);
  const stream = client.open({ ':method': 'POST', ':path': path }, { endStream: false });
  const response = readHttp2Response(stream);
  await pipeline(body, stream);
  const { status = 0, body: text } = await response;
  return { status, text };
}

function statusMb(field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${server.child.pid}/status`, 'utf8');
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024;
}

/** How far the memory of the process rises at its highest while `work` is done. */
async function growthMbOf(work: () => Promise<unknown>): Promise<number> {
  // Sets the high-water mark back to the present (proc_pid_clear_refs(5)).
  writeFileSync(`/proc/${server.child.pid}/clear_refs`, '5');
  const before = statusMb('VmRSS');
  await work();
  return statusMb('VmHWM') - before;
}

/** Spools the process has open, named or not any more. */
function openHandles(): string[] {
  const folder = `/proc/${server.child.pid}/fd`;
  return readdirSync(folder)
    .map((fd) => {
      try {
        return readlinkSync(join(folder, fd));
      } catch {
        return '';
      }
    })
    .filter((target) => target.includes('.body'));
}

async function untilSpooled(): Promise<void> {
  while (openHandles().length === 0) await new Promise((resolve) => setImmediate(resolve));
}

/** Resolves once the process holds no body any more. Its end follows the response's by a turn or two. */
async function untilReleased(): Promise<void> {
  while (openHandles().length > 0) await new Promise((resolve) => setImmediate(resolve));
}

async function leftFiles(): Promise<string[]> {
  return (await readdir(spoolFolder)).filter((name) => name.endsWith('.body'));
}

const isLinux = process.platform === 'linux';

describe.runIf(isLinux)('a body of 100 MB', () => {
  it.each(['content-length', 'chunked', 'HTTP/2'] as const)(
    'leaves the memory as it was after a body of 100 MB by %s',
    async (way) => {
      const growthMb = await growthMbOf(() => upload(way, AGENT_PATH, 100 * MB));
      expect(growthMb).toBeLessThan(MAX_GROWTH_MB);
      await untilReleased();
      expect(await leftFiles()).toEqual([]);
    },
    60_000,
  );

  it('leaves the memory as it was after two bodies of 100 MB at once', async () => {
    const growthMb = await growthMbOf(() =>
      Promise.all([upload('chunked', AGENT_PATH, 100 * MB), upload('HTTP/2', AGENT_PATH, 100 * MB)]),
    );
    // Twice as much waits for the collector.
    expect(growthMb).toBeLessThan(2 * MAX_GROWTH_MB);
    await untilReleased();
    expect(await leftFiles()).toEqual([]);
  }, 60_000);

  it.each(['content-length', 'chunked', 'HTTP/2'] as const)(
    'leaves neither file nor handle of a large body by %s whose client leaves in its middle',
    async (way) => {
      const { stream } = makeBody(50 * MB);
      if (way === 'HTTP/2') {
        await using client = openHttp2(server.port);
        const sink = client.open({ ':method': 'POST', ':path': AGENT_PATH }, { endStream: false });
        await pipeline(stream(), sink, { end: false });
        await untilSpooled();
        sink.close(8);
      } else {
        const framing = way === 'chunked' ? {} : { 'content-length': 100 * MB };
        const options = { host: '127.0.0.1', port: server.port, method: 'POST', path: AGENT_PATH, agent: false };
        const sink = request({ ...options, headers: framing }).on('error', () => {});
        await pipeline(stream(), sink, { end: false });
        await untilSpooled();
        sink.destroy();
      }
      await untilReleased();
      await server.untilStdout('ERR_CLIENT_GONE');
      expect(await leftFiles()).toEqual([]);
      expect(upstream.requests).toHaveLength(1);
    },
    60_000,
  );
});

describe.runIf(isLinux)('a body', () => {
  it('sends a model a body of 25 MB, the most that one takes', async () => {
    expect(await growthMbOf(() => upload('content-length', MODEL_PATH, 25 * MB))).toBeLessThan(MAX_GROWTH_MB);
  });

  it('refuses a body over 128 MB unless --max-body-size allows it', async () => {
    const tooLarge = await ask(server.port, `POST ${AGENT_PATH} HTTP/1.1`, [
      'Host: localhost',
      'Content-Length: 128000001',
    ]);
    expect(tooLarge.header('x-bedrock-proxy-error')).toBe('ERR_BODY_TOO_LARGE');
  });
});
