/**
 * The traffic of a soak: lanes that go on until they are told to pause, whatever happens to the proxy, each of one
 * kind.
 */
import { WebSocket } from 'undici';
import { withClosing } from '../helpers/closing.ts';
import { eventFrame } from '../helpers/event-frames.ts';
import { openHttp2 } from '../helpers/http2-client.ts';
import { WS_PATH } from '../helpers/websocket-testbed.ts';

/** What the lanes need to know. */
export interface TrafficOptions {
  readonly port: number;
  readonly masterKey: string;
  readonly random: () => number;
  /** Whether this Node serves WebSockets. */
  readonly hasWebSockets: boolean;
}

/** Lanes under way. */
export interface Traffic {
  /** What was answered so far, by status or by what else came of it. */
  readonly counts: Readonly<Record<string, number>>;
  /** Resolves when every lane stands still. */
  pause(): Promise<void>;
  resume(): void;
  stop(): Promise<void>;
}

const MODEL = 'amazon.nova-lite-v1%3A0';
const BODY = JSON.stringify({
  messages: [{ role: 'user', content: [{ text: 'Hello' }] }],
  inferenceConfig: { maxTokens: 20 },
});
const CHUNK = eventFrame('chunk', { bytes: 'aGVsbG8=' });
const TIMEOUT_MS = 20_000;

type Step = () => Promise<string>;

/** Starts the lanes. The keys are made with the first use, by the admin API. */
export function startTraffic({ port, masterKey, random, hasWebSockets }: TrafficOptions): Traffic {
  const counts: Record<string, number> = {};
  const url = `http://127.0.0.1:${port}`;
  const keys = new Map<string, string>();
  const state = { isStopped: false, isPaused: false, running: 0 };
  let wake = Promise.withResolvers<void>();

  const admin = async (path: string, body: object): Promise<Response> =>
    await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${masterKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  const keyOf = async (name: string, limits: object): Promise<string> => {
    const known = keys.get(name);
    if (known !== undefined) return known;
    const response = await admin('/key/generate', { key_alias: `${name}-${Date.now()}-${keys.size}`, ...limits });
    const { key } = (await response.json()) as { key?: string };
    if (key === undefined) throw new Error(`no key: ${response.status}`);
    keys.set(name, key);
    return key;
  };
  const send = async (key: string, operation: string, signal = AbortSignal.timeout(TIMEOUT_MS)): Promise<Response> =>
    await fetch(`${url}/bedrock/model/${MODEL}/${operation}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: BODY,
      signal,
    });

  const steps: Readonly<Record<string, { readonly lanes: number; readonly step: Step }>> = {
    unary: {
      lanes: 4,
      step: async () => await whole(await send(await keyOf('wide', { max_budget: 1000 }), 'converse')),
    },
    streams: {
      lanes: 4,
      step: async () => await whole(await send(await keyOf('streams', { max_budget: 1000 }), 'converse-stream')),
    },
    leavers: {
      lanes: 3,
      step: async () => {
        const leaving = new AbortController();
        setTimeout(() => leaving.abort(), random() * 60);
        return await whole(await send(await keyOf('leavers', { max_budget: 1000 }), 'converse-stream', leaving.signal));
      },
    },
    poor: {
      lanes: 2,
      step: async () => {
        await pauseFor(5);
        return await whole(await send(await keyOf('poor', { max_budget: 0.0005 }), 'converse'));
      },
    },
    limited: {
      lanes: 1,
      step: async () => {
        await pauseFor(5);
        return await whole(await send(await keyOf('limited', { rpm_limit: 60, tpm_limit: 100_000 }), 'converse'));
      },
    },
    refused: {
      lanes: 1,
      step: async () => {
        const key = await keyOf('narrow', { models: ['anthropic.*'] });
        await pauseFor(20);
        if (random() < 0.5) return await whole(await send(key, 'converse'));
        return await whole(await fetch(`${url}/bedrock/nothing`, { headers: { authorization: `Bearer ${key}` } }));
      },
    },
    http2: {
      lanes: 2,
      step: async () => {
        const key = await keyOf('http2', { max_budget: 1000 });
        const headers = { ':method': 'POST', authorization: `Bearer ${key}` };
        const responses = await withClosing(async (keep) => {
          const client = keep(openHttp2(port));
          const asked = ['converse', 'converse-stream', 'converse'].map((operation) =>
            client.ask({ ...headers, ':path': `/bedrock/model/${MODEL}/${operation}` }, BODY),
          );
          return await Promise.all(asked);
        });
        const statuses = responses.map(({ status }) => status ?? 'broken');
        if (statuses.includes('broken')) await pauseFor(50);
        return `h2 ${statuses.join(' ')}`;
      },
    },
    bidirectional: {
      lanes: 1,
      step: async () => {
        const key = await keyOf('speech', {});
        await pauseFor(100);
        const headers = {
          ':method': 'POST',
          ':path': '/bedrock/model/amazon.nova-sonic-v1%3A0/invoke-with-bidirectional-stream',
          'content-type': 'application/vnd.amazon.eventstream',
          authorization: `Bearer ${key}`,
        };
        const { isComplete } = await withClosing(async (keep) => await keep(openHttp2(port)).ask(headers, CHUNK));
        return isComplete ? 'bidirectional' : 'bidirectional broken';
      },
    },
    changes: {
      lanes: 1,
      step: async () => {
        const response = await admin('/key/generate', { max_budget: 1 });
        const { key } = (await response.json()) as { key: string };
        await whole(await send(key, 'converse'));
        const asked = [admin('/key/update', { key, max_budget: 2 }), send(key, 'converse-stream').then(whole)];
        await Promise.all(asked);
        await admin(random() < 0.5 ? '/key/block' : '/key/regenerate', { key });
        await whole(await send(key, 'converse'));
        const deleted = await admin('/key/delete', { keys: [key] });
        await pauseFor(50);
        return `delete ${deleted.status}`;
      },
    },
    ...(hasWebSockets
      ? { websocket: { lanes: 1, step: async () => await echo(`ws://127.0.0.1:${port}`, await keyOf('socket', {})) } }
      : {}),
  };

  const runLane = async (step: Step): Promise<void> => {
    while (!state.isStopped) {
      if (state.isPaused) {
        state.running -= 1;
        await wake.promise;
        state.running += 1;
        continue;
      }
      let outcome = 'no connection';
      try {
        outcome = await step();
      } catch (error) {
        if (error instanceof Error && error.name === 'TimeoutError') outcome = 'TIMEOUT';
        await pauseFor(random() * 100);
      }
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
  };
  const lanes = Object.values(steps).flatMap(({ lanes: count, step }) => Array.from({ length: count }, () => step));
  state.running = lanes.length;
  const over = Promise.all(lanes.map(runLane));
  const pause = async (): Promise<void> => {
    state.isPaused = true;
    while (state.running > 0) await pauseFor(20);
  };
  const resume = (): void => {
    state.isPaused = false;
    wake.resolve();
    wake = Promise.withResolvers<void>();
  };
  const stop = async (): Promise<void> => {
    state.isStopped = true;
    resume();
    await over;
  };
  return { counts, pause, resume, stop };
}

function echo(origin: string, key: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`${origin}/bedrock${WS_PATH}`, { headers: { authorization: `Bearer ${key}` } });
    let outcome = 'websocket broken';
    socket.addEventListener('open', () => socket.send('hello'));
    socket.addEventListener('message', ({ data }) => {
      outcome = data === 'hello' ? 'websocket' : 'WEBSOCKET WRONG';
      socket.close();
    });
    socket.addEventListener('error', () => setTimeout(() => resolve(outcome), 50));
    socket.addEventListener('close', () => setTimeout(() => resolve(outcome), 50));
  });
}

async function whole(response: Response): Promise<string> {
  await response.arrayBuffer();
  return String(response.status);
}

function pauseFor(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
