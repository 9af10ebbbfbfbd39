import { type buildConnector, EnvHttpProxyAgent } from 'undici';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { findForwardProxy, type NetworkOptions, openTunnel } from '../../../src/upstream/aws/tunnel.ts';
import { clientGone } from '../../../src/lib/errors.ts';
import { failureOf } from '../../helpers/failure.ts';
import { listen } from '../../helpers/ports.ts';

const NETWORK: NetworkOptions = {
  httpsProxy: 'http://s.invalid',
  httpProxy: 'http://p.invalid',
  noProxy: '',
  caBundle: undefined,
};

describe('the forward proxy of an origin', () => {
  it.each([
    { origin: 'https://a.example', proxy: 'http://s.invalid' },
    { origin: 'http://a.example', proxy: 'http://p.invalid' },
  ])('chooses the forward proxy of $origin by its scheme', ({ origin, proxy }) => {
    expect(findForwardProxy(origin, NETWORK)).toBe(proxy);
  });

  it('uses no forward proxy if none is set for the scheme', () => {
    expect(findForwardProxy('https://a.example', { ...NETWORK, httpsProxy: '' })).toBeUndefined();
    expect(findForwardProxy('https://a.example', undefined)).toBeUndefined();
  });

  const ROWS = [
    { noProxy: '', origin: 'https://a.example', isExempt: false },
    { noProxy: '*', origin: 'https://a.example', isExempt: true },
    { noProxy: 'none.invalid, *', origin: 'https://a.example', isExempt: true },
    { noProxy: '*:80', origin: 'https://a.example', isExempt: false },
    { noProxy: 'a.example', origin: 'https://a.example', isExempt: true },
    { noProxy: 'A.EXAMPLE.', origin: 'https://a.example', isExempt: true },
    { noProxy: 'a.example', origin: 'https://b.a.example', isExempt: true },
    { noProxy: '.a.example', origin: 'https://a.example', isExempt: true },
    { noProxy: '*.a.example', origin: 'https://a.example', isExempt: false },
    { noProxy: '*.a.example', origin: 'https://b.a.example', isExempt: true },
    { noProxy: 'a.example', origin: 'https://xa.example', isExempt: false },
    { noProxy: 'x y,a.example', origin: 'https://a.example', isExempt: true },
    { noProxy: 'a.example:443', origin: 'https://a.example', isExempt: true },
    { noProxy: 'a.example:8443', origin: 'https://a.example', isExempt: false },
    { noProxy: 'a.example:8443', origin: 'https://a.example:8443', isExempt: true },
    { noProxy: '127.0.0.1', origin: 'https://127.0.0.1:9', isExempt: true },
    { noProxy: '::1', origin: 'https://[::1]:9', isExempt: true },
    { noProxy: '[::1]', origin: 'https://[::1]', isExempt: true },
    { noProxy: '[::1]:443', origin: 'https://[::1]', isExempt: true },
    { noProxy: '[::1]:9', origin: 'https://[::1]', isExempt: false },
    { noProxy: 'amazonaws.com', origin: 'https://bedrock-runtime.us-east-1.amazonaws.com', isExempt: true },
    { noProxy: '10.0.0.0/8', origin: 'https://10.1.2.3', isExempt: false },
  ];

  it.each(ROWS)('finds with NO_PROXY=$noProxy that $origin is exempt: $isExempt', ({ noProxy, origin, isExempt }) => {
    expect(findForwardProxy(origin, { ...NETWORK, noProxy }) === undefined).toBe(isExempt);
  });

  it.each(ROWS)('reads NO_PROXY=$noProxy as undici does for $origin', async ({ noProxy, origin, isExempt }) => {
    const dialled: string[] = [];
    const connect: buildConnector.connector = ({ host }, callback) => {
      dialled.push(host ?? '');
      callback(new Error('far enough'), null);
    };
    const agent = new EnvHttpProxyAgent({ httpProxy: '', httpsProxy: 'http://127.0.0.1:9', noProxy, connect });
    await agent.request({ origin, path: '/', method: 'GET' }).catch(() => {});
    await agent.destroy();
    expect(dialled.length > 0).toBe(isExempt);
  });
});

describe('a tunnel', () => {
  it('gives a tunnel up at once if the client leaves, before or while it is opened', async () => {
    const network = { ...NETWORK, httpsProxy: await startMute() };
    const aborter = new AbortController();
    const options = { network, connectTimeoutMs: 60_000, signal: aborter.signal };
    const failing = failureOf(() => openTunnel('https://a.invalid', options));
    aborter.abort(clientGone());
    expect((await failing).code).toBe('ERR_CLIENT_GONE');
    expect((await failureOf(() => openTunnel('https://a.invalid', options))).code).toBe('ERR_CLIENT_GONE');
  });

  it('opens no tunnel if the origin is reached straight', async () => {
    const options = { network: { ...NETWORK, noProxy: '*' }, connectTimeoutMs: 1 };
    expect(await openTunnel('https://a.invalid', options)).toBeUndefined();
  });
});

/** A forward proxy that takes connections and never says a word. */
async function startMute(): Promise<string> {
  const server = createServer((socket) => void socket.on('error', () => {}));
  return `http://127.0.0.1:${await listen(server)}`;
}
