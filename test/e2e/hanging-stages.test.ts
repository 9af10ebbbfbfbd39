/**
 * A stage of the way that hangs: when the client leaves, the request is over at once, whatever it waits for. What it
 * had taken is given back, and the ledger says that it was there.
 */
import { describe, expect, it, vi } from 'vitest';
import type { Store } from '../../src/domain/store.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { KeyPolicy } from '../../src/domain/key.ts';
import type { HeaderPair } from '../../src/http/message.ts';
import { openProxy } from '../helpers/proxy-test.ts';
import { dial, requestText } from '../helpers/raw-socket.ts';
import { openHttp2 } from '../helpers/http2-client.ts';

const NOVA = '/bedrock/model/amazon.nova-lite-v1:0/converse';
const PROFILE = encodeURIComponent('arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc1def2ghi3');
const BUDGET = { limitNanoUsd: 1e12, windowMs: undefined, anchorMs: 0 };

/** The real store, but for one method whose n-th call and the later ones take as long as the test likes. */
function hangIn(method: keyof Store, nth = 1) {
  const gate = Promise.withResolvers<void>();
  let calls = 0;
  const reached = Promise.withResolvers<void>();
  const wrapStore = (store: Store): Store =>
    new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return async (...values: unknown[]) => {
          if (name === method && (calls += 1) >= nth) {
            reached.resolve();
            await gate.promise;
          }
          return Reflect.apply(value, target, values) as unknown;
        };
      },
    });
  return { wrapStore, reached: reached.promise, release: gate.resolve };
}

function hangInCredentials() {
  const reached = Promise.withResolvers<void>();
  const load = (): Promise<never> => {
    reached.resolve();
    return new Promise(() => {});
  };
  return { load, reached: reached.promise, release: () => {} };
}

interface Stage {
  readonly name: string;
  readonly hang: () => {
    readonly wrapStore?: (store: Store) => Store;
    readonly load?: () => Promise<never>;
    readonly reached: Promise<void>;
    readonly release: () => void;
  };
  readonly hasPrincipal: boolean;
  readonly policy?: Partial<KeyPolicy>;
  readonly path?: string;
}

const STAGES: readonly Stage[] = [
  { name: 'the look-up of its key', hang: () => hangIn('findKeyBySha256'), hasPrincipal: false },
  { name: 'the second look-up of its key', hang: () => hangIn('findKeyBySha256', 2), hasPrincipal: true },
  { name: 'the reservation of its budget', hang: () => hangIn('reserve'), hasPrincipal: true },
  {
    name: 'the look-up of an inference profile',
    hang: hangInCredentials,
    hasPrincipal: true,
    policy: { models: ['amazon.*'] },
    path: `/bedrock/model/${PROFILE}/converse`,
  },
  { name: 'the look-up of AWS credentials', hang: hangInCredentials, hasPrincipal: true },
];

describe.each(['1.1', '2'])('over HTTP/%s', (version) => {
  it.each(STAGES)(
    'ends a request that waits for $name when its client leaves',
    async ({ hang, hasPrincipal, policy, path = NOVA }) => {
      const { reached, release, ...options } = hang();
      const testbed = await openProxy(options);
      const limits = { ...EMPTY_POLICY, budget: BUDGET, maxParallel: 1, tokensPerMinute: 100_000, ...policy };
      const { key, id } = await testbed.mint('k', { policy: limits });
      const record = testbed.nextRecord();
      const leave = await send(testbed.port, version, { path, key });
      await reached;
      leave();
      expect((await record).error).toMatchObject({ code: 'ERR_CLIENT_GONE' });
      expect((await record).pricing).toBe('free');
      const row = { errorCode: 'ERR_CLIENT_GONE', chargedNanoUsd: 0 };
      release();
      await vi.waitFor(async () => {
        const spend = await testbed.store.findSpend([{ id, policy: limits }], Date.now());
        expect(spend.get(id)).toMatchObject({ reservedNanoUsd: 0, totalNanoUsd: 0 });
      });
      const rows = await testbed.store.readLedger({}, { after: 0, limit: 10 });
      expect(rows).toMatchObject(hasPrincipal ? [row] : []);
      // Its slot is free: another one is not refused.
      const again = testbed.nextRecord();
      (await send(testbed.port, version, { path, key }))();
      expect((await again).status).not.toBe(429);
    },
  );
});

/** Sends a Converse request; gives a function by which its client leaves. */
async function send(
  port: number,
  version: string,
  { path, key }: { readonly path: string; readonly key: string },
): Promise<() => void> {
  const body = '{"messages":[]}';
  const headers: HeaderPair[] = [
    ['authorization', `Bearer ${key}`],
    ['content-type', 'application/json'],
  ];
  if (version === '2') {
    const { session, open } = openHttp2(port);
    open({ ':method': 'POST', ':path': path, ...Object.fromEntries(headers) }, { endStream: false }).end(body);
    // Answered when what came before it has been read.
    await new Promise<void>((resolve) => session.once('connect', () => session.ping(() => resolve())));
    return () => session.destroy();
  }
  const raw = await dial(port);
  const line = `POST ${path} HTTP/1.1`;
  await raw.send(requestText(line, ['Host: localhost', ...headers, `Content-Length: ${body.length}`], body));
  return () => raw.socket.destroy();
}
