/**
 * Ways by which a secret of the owner could reach somebody it is not for, and by which somebody from outside could pass
 * for a neighbour.
 */
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { startProxy } from '../helpers/testbed.ts';
import { ask } from '../helpers/raw-socket.ts';

const LINE = 'POST /bedrock/model/a/invoke HTTP/1.1';

describe('a master key with dots', () => {
  it('does not pass a master key with dots on as if it were an OAuth token', async () => {
    const masterKey = 'team.proxy.master-2026';
    await using testbed = await startProxy({ environment: { BEDROCK_PROXY_MASTER_KEY: masterKey } });
    const line = 'POST /bedrock/agentcore-gateway/any-gateway/mcp HTTP/1.1';
    expect((await ask(testbed.port, line, ['Host: localhost', `Authorization: Bearer ${masterKey}`])).status).toBe(200);
    const [request] = testbed.upstream.requests;
    expect(JSON.stringify(request?.headers)).not.toContain(masterKey);
    expect(JSON.stringify(request?.headers)).toContain('AWS4-HMAC-SHA256');
  });
});

describe("the owner's API key", () => {
  it.each(['cn-north-1', 'us-iso-east-1', 'us-gov-west-1'])(
    "does not send the owner's API key to %s, which a caller named",
    async (region) => {
      const environment = { AWS_BEARER_TOKEN_BEDROCK: 'ABSK-long-lived' };
      await using testbed = await startProxy({ environment, realHosts: true });
      await ask(testbed.port, LINE, ['Host: localhost', `x-bedrock-proxy-region: ${region}`]);
      expect(JSON.stringify(testbed.upstream.requests.map(({ headers }) => headers))).not.toContain('ABSK');
    },
  );

  it("sends the owner's API key to every region of its own partition", async () => {
    const environment = { AWS_BEARER_TOKEN_BEDROCK: 'ABSK-long-lived' };
    await using testbed = await startProxy({ environment, realHosts: true, flags: { region: 'us-gov-west-1' } });
    await ask(testbed.port, LINE, ['Host: localhost', 'x-bedrock-proxy-region: us-gov-east-1']);
    expect(JSON.stringify(testbed.upstream.requests.map(({ headers }) => headers))).toContain('Bearer ABSK-long-lived');
  });
});

describe('open mode', () => {
  it.each([
    'X-Forwarded-For: 203.0.113.9',
    'X-Forwarded-For: 127.0.0.1, 203.0.113.9',
    'X-Real-IP: 203.0.113.9',
    'CF-Connecting-IP: 2001:db8::1',
    'Forwarded: for="[2001:db8::1]:4711";proto=https',
    'Forwarded: for=127.0.0.1, for=_hidden',
  ])('refuses in open mode whom a tunnel on this machine brings: %s', async (header) => {
    await using testbed = await startProxy();
    const response = await ask(testbed.port, LINE, ['Host: localhost', header]);
    expect(response.status).toBe(403);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_OPEN_MODE_REMOTE');
    expect(testbed.upstream.requests).toHaveLength(0);
  });

  it.each([
    'X-Forwarded-For: 127.0.0.1',
    'X-Forwarded-For: ::1',
    'Forwarded: for="[::1]:4711"',
    'Forwarded: proto=http',
  ])('lets in open mode in whom a development server on this machine brings from here: %s', async (header) => {
    await using testbed = await startProxy();
    expect((await ask(testbed.port, LINE, ['Host: localhost', header])).status).toBe(200);
  });

  it('refuses in open mode images and links of a page on another port', async () => {
    await using testbed = await startProxy();
    const line = 'GET /bedrock/foundation-models HTTP/1.1';
    const response = await ask(testbed.port, line, ['Host: localhost:4000', 'Sec-Fetch-Site: same-site']);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_ORIGIN_REFUSED');
    expect((await ask(testbed.port, line, ['Host: localhost:4000', 'Sec-Fetch-Site: none'])).status).toBe(200);
  });
});

describe('Connection', () => {
  it('keeps a header that means something to AWS though Connection names it', async () => {
    await using testbed = await startProxy();
    await ask(testbed.port, LINE, [
      'Host: localhost',
      'Content-Type: application/json',
      'X-Amzn-Bedrock-GuardrailIdentifier: strict',
      'X-Mine: hop',
      'Connection: content-type, x-amzn-bedrock-guardrailidentifier, x-mine',
    ]);
    const names = testbed.upstream.requests[0]?.headers.map(([name]) => name.toLowerCase());
    expect(names).toEqual(expect.arrayContaining(['content-type', 'x-amzn-bedrock-guardrailidentifier']));
    expect(names).not.toContain('x-mine');
    expect(testbed.upstream.failures).toEqual([]);
  });
});

describe('a refused option', () => {
  it.each(['http://user:hun/ter2@proxy:3128', 'user:hunter2@proxy:3128/x', 'http://user:hunt@er2@proxy:3128/x y'])(
    'does not show the password of a refused option in %s',
    (value) => {
      let shown = '';
      try {
        readConfig({}, { HTTPS_PROXY: value });
      } catch (error) {
        shown = String(error);
      }
      expect(shown).toContain('proxy:3128');
      expect(shown).not.toMatch(/hun|ter2|er2|user/);
    },
  );
});
