/**
 * The OpenAI- and Anthropic-shaped paths through the whole proxy, and every way to say which host a request goes to:
 * the client's scope, flags for FIPS and IPv6, partitions, endpoint URLs, and the service named in the path.
 */
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { openProxy } from '../helpers/proxy-test.ts';
import type { Testbed, TestbedOptions } from '../helpers/testbed.ts';
import { ask, dial, requestText } from '../helpers/raw-socket.ts';
import { signLines } from '../helpers/sigv4-signing.ts';

let testbed: Testbed | undefined;

async function open(options: TestbedOptions = {}): Promise<Testbed> {
  testbed = await openProxy({ realHosts: true, ...options });
  return testbed;
}

const BODY = '{"model":"openai.gpt-oss-20b-1:0","stream":true}';

function call({ port }: Testbed, operation: string, headers: readonly string[] = []) {
  const [method, path] = operation.split(' ');
  const all = ['Host: localhost', 'Content-Type: application/json', `Content-Length: ${BODY.length}`, ...headers];
  return ask(port, `${method} /bedrock${path} HTTP/1.1`, all, BODY);
}

/** What AWS saw: host, path, and the scope of the signature. */
async function arrival({ upstream }: Testbed) {
  const { rawTarget, signature, header, headers } = await upstream.nextRequest();
  const { service, region } = signature?.scope ?? {};
  return { host: header('host'), rawTarget, service, region, headers, header };
}

/** The headers of an SDK client whose endpoint is the proxy, signed with its own key pair for that service. */
async function signedHeaders(opened: Testbed, path: string, service: string): Promise<string[]> {
  const toSign = { method: 'POST', path: `/bedrock${path}`, service, region: 'us-west-2', body: BODY };
  const headers = { 'content-type': 'application/json' };
  const lines = await signLines(await opened.mint(service), { ...toSign, headers, host: 'localhost' });
  return lines.filter((line) => !/^(?:host|content-type|content-length):/i.test(line));
}

const RUNTIME = { host: 'bedrock-runtime.us-east-1.amazonaws.com', service: 'bedrock', region: 'us-east-1' };
const MANTLE = { host: 'bedrock-mantle.us-east-1.api.aws', service: 'bedrock-mantle', region: 'us-east-1' };

describe('a path of the OpenAI or Anthropic shape', () => {
  it.each([
    { operation: 'POST /openai/v1/chat/completions', upstream: 'runtime', goes: RUNTIME },
    { operation: 'POST /anthropic/v1/messages?beta=true', upstream: 'runtime', goes: RUNTIME },
    { operation: 'POST /openai/v1/chat/completions', upstream: 'mantle', goes: MANTLE },
    { operation: 'POST /anthropic/v1/messages', upstream: 'mantle', goes: MANTLE },
    { operation: 'POST /v1/responses', upstream: 'runtime', goes: MANTLE },
    { operation: 'POST /bedrock-mantle/openai/v1/chat/completions', upstream: 'runtime', goes: MANTLE },
    { operation: 'POST /bedrock-runtime/openai/v1/chat/completions', upstream: 'mantle', goes: RUNTIME },
  ])('sends $operation with --openai-upstream $upstream to $goes.host', async ({ operation, upstream, goes }) => {
    const opened = await open({ flags: { openaiUpstream: upstream } });
    const own = ['OpenAI-Project: p', 'anthropic-version: 2023-06-01', 'anthropic-beta: b'];
    expect((await call(opened, operation, own)).status).toBe(200);
    const { host, service, region, rawTarget, headers } = await arrival(opened);
    expect({ host, service, region }).toEqual(goes);
    expect(rawTarget).toBe(operation.replace(/^\w+ (\/bedrock-(mantle|runtime))?/, ''));
    for (const header of own) expect(headers).toContainEqual(header.split(': '));
  });

  it.each([
    {
      path: '/openai/v1/chat/completions',
      scope: 'bedrock-mantle',
      upstream: 'runtime',
      host: 'bedrock-mantle.us-west-2.api.aws',
    },
    {
      path: '/anthropic/v1/messages',
      scope: 'bedrock-mantle',
      upstream: 'runtime',
      host: 'bedrock-mantle.us-west-2.api.aws',
    },
    {
      path: '/anthropic/v1/messages',
      scope: 'bedrock',
      upstream: 'mantle',
      host: 'bedrock-runtime.us-west-2.amazonaws.com',
    },
  ])(
    'sends $path of a client that signs for $scope to where its signature says',
    async ({ path, scope, upstream, host }) => {
      const opened = await open({ flags: { openaiUpstream: upstream } });
      expect((await call(opened, `POST ${path}`, await signedHeaders(opened, path, scope))).status).toBe(200);
      expect(await arrival(opened)).toMatchObject({ host, service: scope, region: 'us-west-2', rawTarget: path });
    },
  );

  it.each(['/openai/v1/chat/completions', '/anthropic/v1/messages', '/v1/responses'])(
    'streams server-sent events one by one: %s',
    async (path) => {
      const opened = await open();
      const streams: ServerResponse[] = [];
      opened.upstream.respondWith((_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
        response.write('data: {"n":1}\n\n');
        streams.push(response);
      });
      await using raw = await dial(opened.port);
      const head = ['Host: localhost', 'Accept-Encoding: gzip', `Content-Length: ${BODY.length}`];
      await raw.send(requestText(`POST /bedrock${path} HTTP/1.1`, head, BODY));
      await raw.until('data: {"n":1}\n\n');
      streams[0]?.end('data: [DONE]\n\n');
      const response = await raw.readResponse();
      expect(response.header('content-type')).toBe('text/event-stream; charset=utf-8');
      expect(response.body.toString()).toBe('data: {"n":1}\n\ndata: [DONE]\n\n');
      expect((await arrival(opened)).header('accept-encoding')).toBe('identity');
    },
  );
});

describe('the host', () => {
  it.each([
    { flags: { fips: 'true', dualstack: 'true' }, path: '/guardrails', host: 'bedrock-fips.us-east-1.api.aws' },
    {
      flags: { region: 'us-gov-west-1', fips: 'true' },
      path: '/model/a/invoke',
      host: 'bedrock-runtime-fips.us-gov-west-1.amazonaws.com',
    },
  ])('calls and signs for the host $host with $flags for $path', async ({ flags, path, host }) => {
    const opened = await open({ flags });
    expect((await call(opened, `POST ${path}`)).status).toBe(200);
    expect(await arrival(opened)).toMatchObject({ host, region: flags.region ?? 'us-east-1' });
  });

  it.each([
    { path: '/model/a/invoke', host: 'runtime.corp.example:8443', target: '/base/us-east-1/model/a/invoke' },
    { path: '/guardrails', host: 'bedrock.us-east-1.corp.example', target: '/guardrails' },
    {
      path: '/runtimes/arn%3Aaws%3Abedrock-agentcore%3Aus-east-1%3A123456789012%3Aruntime%2Fa/invocations',
      host: 'bedrock-agentcore.us-east-1.corp.example',
      target: '/runtimes/arn%3Aaws%3Abedrock-agentcore%3Aus-east-1%3A123456789012%3Aruntime%2Fa/invocations',
    },
  ])('calls and signs for the host of an endpoint URL: $path', async ({ path, host, target }) => {
    const endpointUrl = [
      'https://{service}.{region}.corp.example:443/',
      'bedrock-runtime=http://runtime.corp.example:8443/base/{region}/',
    ];
    const opened = await open({ flags: { endpointUrl } });
    expect((await call(opened, `POST ${path}`)).status).toBe(200);
    expect(await arrival(opened)).toMatchObject({ host, rawTarget: target });
  });
});

describe('the service named in the path', () => {
  it.each([
    { service: 'bedrock-runtime', signedFor: 'bedrock' },
    { service: 'bedrock-agentcore-control', signedFor: 'bedrock-agentcore' },
    { service: 'bedrock-mantle', signedFor: 'bedrock-mantle' },
  ])('takes operations that nobody knows for $service', async ({ service, signedFor }) => {
    const opened = await open();
    const target = '/brand/new%2Foperation?x=1&y';
    expect((await call(opened, `PATCH /${service}${target}`)).status).toBe(200);
    const suffix = service === 'bedrock-mantle' ? 'api.aws' : 'amazonaws.com';
    expect(await arrival(opened)).toMatchObject({
      host: `${service}.us-east-1.${suffix}`,
      rawTarget: target,
      service: signedFor,
    });
    expect(opened.records.at(-1)?.route).toMatchObject({ service, operation: undefined });
  });

  it('names the service prefix to a client that asks for an operation nobody knows', async () => {
    const opened = await open();
    const response = await call(opened, 'POST /brand/new');
    expect(response.status).toBe(404);
    expect(response.body.toString()).toContain('/bedrock/<service>/brand/new');
  });
});
