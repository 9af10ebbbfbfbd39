import { failureOf } from '../helpers/failure.ts';
import { parseCredentialScope } from '../../src/protocol/sigv4/scope.ts';
import { parseTarget } from '../../src/http/target.ts';
import { describe, expect, it } from 'vitest';
import type { HeaderPair } from '../../src/http/message.ts';
import { parseEndpointUrl } from '../../src/operations/endpoint.ts';
import {
  findRoute,
  refuseUnservedUpgrade,
  type Route,
  type RoutingConfig,
  resolveRouteByBody,
} from '../../src/routing/route.ts';

const PLAIN: RoutingConfig = {
  defaultRegion: 'us-east-1',
  openaiUpstream: 'runtime',
  fips: false,
  dualstack: false,
  endpointUrls: new Map(),
};

function route(
  method: string,
  rawTarget: string,
  { headers = [], config = {} }: { headers?: readonly HeaderPair[]; config?: Partial<RoutingConfig> } = {},
): Route {
  const target = parseTarget(rawTarget);
  const scope = parseCredentialScope(headers, target.query);
  return findRoute({ method, target, scope, headers, mountPath: '/bedrock', config: { ...PLAIN, ...config } });
}

const PROFILE = 'arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Aapplication-inference-profile%2Fabc';
const signedIn = (region: string, service = 'bedrock'): HeaderPair => [
  'Authorization',
  `AWS4-HMAC-SHA256 Credential=Bearer sk-abc/20260101/${region}/${service}/aws4_request, SignedHeaders=host, Signature=ab`,
];

describe('findRoute', () => {
  it('finds all there is to know of a request', () => {
    expect(route('POST', '/bedrock/model/us.anthropic.claude-v1%3A0/converse-stream?a=%2f&X-Amz-Date=1')).toEqual({
      service: 'bedrock-runtime',
      signingName: 'bedrock',
      operation: 'ConverseStream',
      plane: 'data',
      effect: 'inference',
      region: 'us-east-1',
      regionSource: 'default',
      arnRegion: undefined,
      modelId: 'us.anthropic.claude-v1:0',
      streaming: 'response',
      bearerKeys: true,
      takesOauth: false,
      keepsTarget: false,
      origin: 'https://bedrock-runtime.us-east-1.amazonaws.com',
      host: 'bedrock-runtime.us-east-1.amazonaws.com',
      endpoint: { service: 'bedrock-runtime', gatewayId: undefined, pathPrefix: '', takesApiKeys: true },
      upstreamTarget: parseTarget('/model/us.anthropic.claude-v1%3A0/converse-stream?a=%2f'),
      needsBody: false,
      otherwise: undefined,
    });
  });

  it.each([
    ['header', [['X-Bedrock-Proxy-Region', 'eu-west-3'], signedIn('us-west-2')], '', 'eu-west-3'],
    ['scope', [signedIn('us-west-2')], '', 'us-west-2'],
    ['scope', [], '?X-Amz-Credential=K%2F20260101%2Fus-west-2%2Fbedrock%2Faws4_request', 'us-west-2'],
    ['arn', [], '', 'eu-central-1'],
  ] as const)('takes the region from the %s first: %j', (source, headers, query, region) => {
    expect(route('POST', `/bedrock/model/${PROFILE}/invoke${query}`, { headers })).toMatchObject({
      region,
      regionSource: source,
      arnRegion: 'eu-central-1',
      host: `bedrock-runtime.${region}.amazonaws.com`,
      upstreamTarget: { query: undefined },
    });
  });

  it.each([
    ['header', [['x-bedrock-proxy-region', 'us-east-1.evil.test/']], 'x'],
    ['scope', [signedIn('us-east-1@evil.test')], 'x'],
    ['ARN', [], 'arn%3Aaws%3Abedrock%3Aevil.test%23%3A1%3Ax'],
  ] as const)('builds no host from a region made up in the %s', (word, headers, id) => {
    expect(() => route('POST', `/bedrock/model/${id}/invoke`, { headers })).toThrow(
      expect.objectContaining({
        code: expect.stringMatching(/^ERR_(REGION_INVALID|BAD_ARN)$/),
        message: expect.stringContaining(word),
      }),
    );
  });

  it('takes no region from a query or a geography', () => {
    expect(route('POST', '/bedrock/model/eu.claude/invoke?x=arn:aws:bedrock:eu-west-1:1:x').region).toBe('us-east-1');
  });

  it('says that there is no region at all', () => {
    expect(() => route('GET', '/bedrock/guardrails', { config: { defaultRegion: undefined } })).toThrow(
      expect.objectContaining({ code: 'ERR_REGION_MISSING' }),
    );
  });

  it.each([
    ['aws-cn', 'cn-north-1', {}, 'bedrock.cn-north-1.amazonaws.com.cn'],
    ['both', 'us-east-1', { fips: true, dualstack: true }, 'bedrock-fips.us-east-1.api.aws'],
  ])('finds the host in %s', (_, defaultRegion, options, host) => {
    expect(route('GET', '/bedrock/guardrails', { config: { defaultRegion, ...options } })).toMatchObject({
      host,
      origin: `https://${host}`,
    });
  });

  it("sets an operator's path before the client's", () => {
    const parsed = parseEndpointUrl('http://127.0.0.1:9000/aws/{service}/');
    if ('problem' in parsed) throw new Error(parsed.problem);
    const endpointUrls = new Map([[parsed.service, parsed.template]]);
    expect(route('GET', '/bedrock//guardrails/', { config: { endpointUrls } })).toMatchObject({
      origin: 'http://127.0.0.1:9000',
      host: '127.0.0.1:9000',
      upstreamTarget: { path: '/aws/bedrock/guardrails/' },
    });
  });

  it.each([
    ['/model/anthropic.claude-v1:0/invoke', 'anthropic.claude-v1:0'],
    ['/model/anthropic.claude-v1%3A0/invoke', 'anthropic.claude-v1:0'],
    ['/model/%61nthropic.claude/invoke', 'anthropic.claude'],
    ['/bedrock-runtime/model/x/brand-new', 'x'],
    ['/bedrock-runtime/model/x', 'x'],
    [
      '/model/arn:aws:bedrock:us-east-1:123456789012:prompt/P/invoke',
      'arn:aws:bedrock:us-east-1:123456789012:prompt/P',
    ],
    ['/bedrock/model/x/y', undefined],
    ['/openai/v1/chat/completions', undefined],
  ])('reads the model from the path %s', (path, modelId) => {
    expect(route('POST', `/bedrock${path}`).modelId).toBe(modelId);
  });

  it.each([
    ['POST', '/model/x/invoke', [], 'none', 'inference'],
    ['POST', '/model/x/invoke-with-bidirectional-stream', [], 'bidirectional', 'inference'],
    ['POST', '/runtimes/x/invocations', [], 'response', 'invoke'],
    ['GET', '/runtimes/x/invocations/.well-known/agent-card.json', [], 'none', 'read'],
    ['PUT', '/runtimes/x/invocations/a/b', [], 'response', 'invoke'],
    ['GET', '/runtimes/x/ws', [['Upgrade', 'websocket']], 'websocket', 'invoke'],
    ['GET', '/runtimes/x/ws/shells?qualifier=Q', [], 'websocket', 'invoke'],
    ['GET', '/browser-streams/b/sessions/s/automation', [], 'websocket', 'invoke'],
    ['GET', '/browser-streams/b/sessions/s/live-view', [], 'response', 'invoke'],
    ['POST', '/openai/v1/responses', [], 'response', 'inference'],
    ['GET', '/v1/models', [], 'none', 'inference'],
    ['GET', '/bedrock-agentcore/new', [['Upgrade', 'websocket']], 'websocket', 'write'],
    ['GET', '/bedrock-agentcore/new', [], 'response', 'read'],
    ['DELETE', '/bedrock-agentcore/new', [], 'response', 'write'],
    ['GET', '/bedrock-data-automation-runtime/', [['X-Amz-Target', 'X.Y']], 'response', 'write'],
    ['POST', '/agentcore-gateway/g1/mcp', [], 'response', 'invoke'],
  ] as const)('decides that %s %s %j streams: %s, and what it does: %s', (method, path, headers, streaming, effect) => {
    expect(route(method, `/bedrock${path}`, { headers })).toMatchObject({ streaming, effect });
  });

  it('finds the host and the signing name of a gateway', () => {
    expect(route('POST', '/bedrock/agentcore-gateway/my-gw/mcp')).toMatchObject({
      service: 'agentcore-gateway',
      signingName: 'bedrock-agentcore',
      operation: 'InvokeGateway',
      host: 'my-gw.gateway.bedrock-agentcore.us-east-1.amazonaws.com',
      upstreamTarget: { path: '/mcp' },
    });
  });

  it.each(['/', '/bedrocks/model/x/invoke', '/key/generate', '//bedrock/model/x/invoke'])(
    'serves nothing at %s',
    (rawTarget) => {
      expect(() => route('GET', rawTarget)).toThrow(
        expect.objectContaining({ code: 'ERR_UNKNOWN_PATH', hint: expect.stringContaining('/bedrock') }),
      );
    },
  );

  it('refuses a bad target before it looks at anything else', () => {
    expect(() => route('TRACE', '/bedrock/%2E%2e/x')).toThrow(expect.objectContaining({ code: 'ERR_BAD_TARGET' }));
  });

  it.each([
    ['a label', `/bedrock/model/${'a'.repeat(65_536)}/invoke`],
    ['slashes', `/bedrock/${'/'.repeat(65_536)}x`],
    ['escapes', `/bedrock/model/${'%3A'.repeat(21_845)}/invoke`],
    ['dots', `/bedrock/model/${'.'.repeat(65_536)}/invoke`],
    ['ARNs', `/bedrock/model/${'arn:/'.repeat(13_000)}/invoke`],
    ['a query', `/bedrock/model/x/invoke?${'x-am=1&'.repeat(9000)}`],
  ])('finds a route at once for 64 KiB of %s', (_, rawTarget) => {
    const before = performance.now();
    try {
      route('POST', rawTarget);
    } catch {
      // An error is as good a response here, as long as it is quick.
    }
    expect(performance.now() - before).toBeLessThan(100);
  });
});

const tagging = (type: string) =>
  Buffer.from(JSON.stringify({ resourceARN: `arn:aws:bedrock:eu-west-1:123456789012:${type}/x` }));

describe('resolveRouteByBody', () => {
  it('moves a tagging call to the service that owns the ARN in its body, host and all', async () => {
    const found = route('POST', '/bedrock/untagResource?a=b');
    expect(found.needsBody).toBe(true);
    expect(await resolveRouteByBody(found, { chunks: [tagging('blueprint')] })).toMatchObject({
      service: 'bedrock-data-automation',
      operation: 'UntagResource',
      host: 'bedrock-data-automation.us-east-1.amazonaws.com',
      upstreamTarget: { raw: '/untagResource?a=b', path: '/untagResource', query: 'a=b' },
      region: 'us-east-1',
      needsBody: false,
    });
    expect(await resolveRouteByBody(found, { chunks: [tagging('guardrail')] })).toMatchObject({
      service: 'bedrock',
      operation: 'UntagResource',
      host: 'bedrock.us-east-1.amazonaws.com',
      needsBody: false,
    });
  });

  it.each([Buffer.alloc(0), Buffer.from('{'), Buffer.from([0xff])])(
    'keeps a tagging call with bedrock if its body is garbage',
    async (body) => {
      expect((await resolveRouteByBody(route('POST', '/bedrock/tagResource'), { chunks: [body] })).service).toBe(
        'bedrock',
      );
    },
  );

  it('keeps the path as it came if only the slash was lost', async () => {
    const found = route('POST', '/bedrock/agents/ABCDEFGHIJ');
    expect(await resolveRouteByBody(found, { chunks: [Buffer.alloc(0)] })).toMatchObject({
      service: 'bedrock-agent',
      operation: 'PrepareAgent',
      upstreamTarget: parseTarget('/agents/ABCDEFGHIJ'),
      plane: 'control',
      streaming: 'none',
    });
    expect((await resolveRouteByBody(found, { chunks: [Buffer.from('{"x":1}')] })).operation).toBe('InvokeInlineAgent');
  });

  it('gives back the very same route if the body does not matter', async () => {
    const found = route('POST', '/bedrock/model/x/invoke');
    expect(await resolveRouteByBody(found, { chunks: [tagging('blueprint')] })).toBe(found);
  });
});

describe('refuseUnservedUpgrade', () => {
  it.each([
    { name: 'a WebSocket asked for and served', isAsked: true, isServed: true },
    { name: 'neither', isAsked: false, isServed: false },
  ])('lets an upgrade pass: $name', ({ isAsked, isServed }) => {
    refuseUnservedUpgrade(isAsked, isServed);
  });

  it.each([
    { name: 'asked for where there is none', isAsked: true, isServed: false, says: 'no WebSocket' },
    { name: 'not asked for where there is one', isAsked: false, isServed: true, says: 'is a WebSocket' },
  ])('refuses an upgrade: $name', async ({ isAsked, isServed, says }) => {
    const error = await failureOf(() => refuseUnservedUpgrade(isAsked, isServed));
    expect(error).toMatchObject({ code: 'ERR_BAD_REQUEST', status: 400 });
    expect(error.message).toContain(says);
  });
});

const chosen = async (path: string, body: object, openaiUpstream: 'runtime' | 'mantle' = 'runtime') => {
  const text = Buffer.from(JSON.stringify(body));
  const { host, upstreamTarget } = await resolveRouteByBody(route('POST', path, { config: { openaiUpstream } }), {
    chunks: [text.subarray(0, 5), text.subarray(5)],
  });
  return `${host.replace(/\..*/, '')} ${upstreamTarget.raw}`;
};

describe('at the root', () => {
  it.each([
    ['/v1/chat/completions', 'openai.gpt-oss-120b', 'bedrock-mantle /v1/chat/completions'],
    ['/chat/completions?a=b', 'openai.gpt-oss-120b', 'bedrock-mantle /v1/chat/completions?a=b'],
    ['/v1/chat/completions', 'openai.gpt-oss-20b-1:0', 'bedrock-runtime /openai/v1/chat/completions'],
    ['/v1/responses', 'openai.gpt-oss-20b-1:0', 'bedrock-mantle /v1/responses'],
    ['/v1/responses', 'openai.gpt-5.5', 'bedrock-runtime /openai/v1/responses'],
    ['/responses', 'us.openai.gpt-5.6-sol', 'bedrock-runtime /openai/v1/responses'],
    ['/v1/chat/completions', 'us.anthropic.claude-x', 'bedrock-runtime /openai/v1/chat/completions'],
    ['/v1/chat/completions', 'qwen.qwen3-32b', 'bedrock-mantle /v1/chat/completions'],
    ['//v1/chat/completions', 'openai.gpt-5.5', 'bedrock-runtime /openai/v1/chat/completions'],
    // Below the mount `/v1` is a path of AWS, and stays.
    ['/bedrock/v1/responses', 'openai.gpt-5.5', 'bedrock-mantle /v1/responses'],
  ])('sends %s with %s to %s', async (path, model, goes) => {
    expect(await chosen(path, { messages: [{ model: 'x' }], model })).toBe(goes);
  });

  it('stays with mantle if the owner says so, with the prefix of the model', async () => {
    expect(await chosen('/v1/responses', { model: 'openai.gpt-5.5' }, 'mantle')).toBe(
      'bedrock-mantle /openai/v1/responses',
    );
    expect(await chosen('/v1/responses', { model: 'openai.gpt-oss-120b' }, 'mantle')).toBe(
      'bedrock-mantle /v1/responses',
    );
  });

  it('keeps what runs in the background with mantle, and what cannot be read', async () => {
    expect(await chosen('/v1/responses', { model: 'openai.gpt-5.5', background: true })).toBe(
      'bedrock-mantle /v1/responses',
    );
    const found = route('POST', '/v1/responses');
    expect(await resolveRouteByBody(found, { chunks: [Buffer.from('{"model":"openai.gpt-5.5"')] })).toMatchObject({
      service: 'bedrock-mantle',
      needsBody: false,
    });
  });

  it('keeps the path of a client that signs for mantle', () => {
    const headers = [signedIn('us-east-1', 'bedrock-mantle')];
    expect(route('POST', '/v1/responses', { headers })).toMatchObject({ service: 'bedrock-mantle', needsBody: false });
  });

  it.each([
    ['POST', '/v1/messages?beta=true', 'bedrock-runtime', '/anthropic/v1/messages?beta=true'],
    ['POST', '/bedrock/v1/messages', 'bedrock-runtime', '/anthropic/v1/messages'],
    ['POST', '/anthropic/v1/messages', 'bedrock-runtime', '/anthropic/v1/messages'],
    ['POST', '/v1/messages/count_tokens', 'bedrock-mantle', '/anthropic/v1/messages/count_tokens'],
    ['POST', '/bedrock/v1/messages/count_tokens', 'bedrock-mantle', '/anthropic/v1/messages/count_tokens'],
    ['GET', '/v1/models', 'bedrock-mantle', '/v1/models'],
    ['GET', '/models', 'bedrock-mantle', '/v1/models'],
    ['POST', '/model/a%3A0/converse', 'bedrock-runtime', '/model/a%3A0/converse'],
    ['POST', '/model/arn:aws:bedrock:us-east-1::foundation-model/a/invoke', 'bedrock-runtime', expect.any(String)],
    ['GET', '/foundation-models?byProvider=anthropic', 'bedrock', '/foundation-models?byProvider=anthropic'],
  ])('sends %s %s to %s', (method, path, service, raw) => {
    expect(route(method, path)).toMatchObject({ service, upstreamTarget: { raw } });
  });

  it.each([
    '/bedrock-runtime/model/x/invoke',
    '//bedrock-runtime/model/x/invoke',
    '/MODEL/x/converse',
    '/%6Dodel/x/converse',
    '/V1/messages',
    '/x/v1/messages',
    '/favicon.ico',
  ])('serves nothing at %s', (path) => {
    expect(() => route('POST', path)).toThrow(expect.objectContaining({ code: 'ERR_UNKNOWN_PATH' }));
  });

  it.each(['/v1/%2e%2e/model/x/invoke', '/v1/..%2fkey/generate', '/model/../key', '/model/.%2E/key'])(
    'refuses the target %s',
    (path) => {
      expect(() => route('POST', path)).toThrow(expect.objectContaining({ code: 'ERR_BAD_TARGET' }));
    },
  );
});
