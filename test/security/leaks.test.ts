/**
 * Ways by which a secret of the owner could reach somebody it is not for, and by which somebody from outside could pass
 * for a neighbour.
 */
import { describe, expect, it } from 'vitest';
import { openProxy } from '../helpers/proxy-test.ts';
import { startProxy } from '../helpers/testbed.ts';
import { ask } from '../helpers/raw-socket.ts';

const LINE = 'POST /bedrock/model/a/invoke HTTP/1.1';

describe('a master key with dots', () => {
  it('does not pass a master key with dots on as if it were an OAuth token', async () => {
    const masterKey = 'team.proxy.master-2026';
    const testbed = await openProxy({ environment: { BEDROCK_PROXY_MASTER_KEY: masterKey } });
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
  it('refuses in open mode whom a tunnel on this machine brings', async () => {
    const testbed = await openProxy();
    const response = await ask(testbed.port, LINE, ['Host: localhost', 'X-Forwarded-For: 203.0.113.9']);
    expect(response.status).toBe(403);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_OPEN_MODE_REMOTE');
    expect(testbed.upstream.requests).toHaveLength(0);
  });

  it('refuses in open mode images and links of a page on another port', async () => {
    const testbed = await openProxy();
    const line = 'GET /bedrock/foundation-models HTTP/1.1';
    const response = await ask(testbed.port, line, ['Host: localhost:4000', 'Sec-Fetch-Site: same-site']);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_ORIGIN_REFUSED');
    expect((await ask(testbed.port, line, ['Host: localhost:4000', 'Sec-Fetch-Site: none'])).status).toBe(200);
  });
});

describe("the caller's own key in the query", () => {
  it.each(['key', 'api_key', 'access%5Ftoken', 'x'])('is refused and not sent to AWS: ?%s=', async (name) => {
    const testbed = await openProxy();
    const { key } = await testbed.mint();
    for (const value of [key, encodeURIComponent(`Bearer ${key}`), key.replace('-', '%2d')]) {
      const line = `POST /bedrock/model/a/invoke?${name}=${value} HTTP/1.1`;
      for (const credential of [[], [`Authorization: Bearer ${key}`]]) {
        const response = await ask(testbed.port, line, ['Host: localhost', 'Content-Length: 0', ...credential]);
        expect([response.status, response.header('x-bedrock-proxy-error')]).toEqual([400, 'ERR_KEY_IN_QUERY']);
        expect(response.body.toString()).not.toContain(key);
      }
    }
    expect(testbed.upstream.requests).toHaveLength(0);
  });

  it('is refused in open mode, too', async () => {
    const testbed = await openProxy();
    const line = 'GET /bedrock/foundation-models?key=sk-1234 HTTP/1.1';
    const response = await ask(testbed.port, line, ['Host: localhost']);
    expect(response.header('x-bedrock-proxy-error')).toBe('ERR_KEY_IN_QUERY');
    expect(testbed.upstream.requests).toHaveLength(0);
  });
});

describe('headers of the proxy', () => {
  it('come from it alone: an upstream cannot pass its refusal off as ours', async () => {
    const testbed = await openProxy();
    testbed.upstream.respondWith((_request, response) => {
      response.writeHead(403, { 'x-bedrock-proxy-error': 'ERR_SCOPE', 'X-Bedrock-Proxy-Other': 'x', 'x-amzn-a': 'b' });
      response.end('{}');
    });
    const response = await ask(testbed.port, LINE, ['Host: localhost', 'Content-Length: 0']);
    expect(response.status).toBe(403);
    expect(response.header('x-bedrock-proxy-error')).toBeUndefined();
    expect(response.header('x-bedrock-proxy-other')).toBeUndefined();
    expect(response.header('x-amzn-a')).toBe('b');
  });
});
