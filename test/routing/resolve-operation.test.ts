import { parseCredentialScope } from '../../src/protocol/sigv4/scope.ts';
import { describe, expect, it } from 'vitest';
import type { HeaderPair } from '../../src/http/message.ts';
import { encodeModelArn, resolveOperation } from '../../src/routing/resolve-operation.ts';
import { readRequestHints } from '../../src/routing/request-hints.ts';

const PROFILE = 'arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-v1:0';

function find(method: string, path: string, headers: readonly HeaderPair[] = []) {
  const {
    service,
    operation,
    path: forwarded,
    gatewayId,
  } = resolveOperation({
    method,
    path,
    hints: readRequestHints(headers, parseCredentialScope(headers, undefined)),
    openaiUpstream: 'runtime',
    mountPath: '/bedrock',
  });
  return { service: service.id, operation: operation?.name, path: forwarded, gatewayId };
}

const signedFor = (service: string): HeaderPair => [
  'Authorization',
  `AWS4-HMAC-SHA256 Credential=sk-a/20260101/us-east-1/${service}/aws4_request, Signature=a`,
];
const target = (value: string): HeaderPair => ['X-Amz-Target', value];
const KEYSTONE = 'AmazonBedrockKeystoneRuntimeService';

describe('an explicit prefix', () => {
  it.each([
    [
      'a known operation',
      'POST',
      '/bedrock-runtime/model/x/invoke',
      'bedrock-runtime',
      'InvokeModel',
      '/model/x/invoke',
    ],
    [
      'more slashes after it',
      'POST',
      '/bedrock-runtime//model/x/invoke',
      'bedrock-runtime',
      'InvokeModel',
      '/model/x/invoke',
    ],
    [
      'the service that is named like the mount',
      'GET',
      '/bedrock/guardrails',
      'bedrock',
      'ListGuardrails',
      '/guardrails',
    ],
    ['an unknown operation', 'PATCH', '/bedrock-agent/brand/new%2F/', 'bedrock-agent', undefined, '/brand/new%2F/'],
    ['an operation of another service', 'POST', '/bedrock/model/x/invoke', 'bedrock', 'InvokeModel', '/model/x/invoke'],
    ['a path with empty segments', 'GET', '/bedrock/a//b', 'bedrock', undefined, '/a//b'],
    ['nothing after it', 'GET', '/bedrock-agentcore', 'bedrock-agentcore', undefined, '/'],
    ['one prefix only', 'GET', '/bedrock/bedrock/x', 'bedrock', undefined, '/bedrock/x'],
    ['mantle', 'POST', '/bedrock-mantle/v1/messages', 'bedrock-mantle', undefined, '/v1/messages'],
    [
      'mantle for openai',
      'POST',
      '/bedrock-mantle/openai/v1/responses',
      'bedrock-mantle',
      'CreateResponse',
      '/openai/v1/responses',
    ],
    [
      'a collision',
      'POST',
      '/bedrock-data-automation/tagResource',
      'bedrock-data-automation',
      'TagResource',
      '/tagResource',
    ],
    ['a lost slash', 'POST', '/bedrock-agent/agents/ABCDEFGHIJ', 'bedrock-agent', 'PrepareAgent', '/agents/ABCDEFGHIJ'],
  ] as const)('finds behind a service prefix %s', (_, method, path, service, operation, forwarded) => {
    expect(find(method, path)).toMatchObject({ service, operation, path: forwarded });
  });

  it.each([
    '/Bedrock-runtime/x/y',
    '/bedrock%2Druntime/x/y',
    '/bedrock-runtimes/x/y',
    '/__proto__/x',
    '/constructor/x/y',
  ])('finds no service prefix in %s', (path) => {
    expect(() => find('GET', path)).toThrow(expect.objectContaining({ code: 'ERR_UNKNOWN_OPERATION' }));
  });

  it.each(['CONNECT', 'TRACE', 'get', 'PROPFIND', ''])('refuses the method %j behind a service prefix', (method) => {
    expect(() => find(method, '/bedrock/x')).toThrow(expect.objectContaining({ code: 'ERR_BAD_REQUEST' }));
  });
});

describe('X-Amz-Target', () => {
  it('resolves X-Amz-Target at the mount root', () => {
    expect(find('POST', '/', [target(`${KEYSTONE}.InvokeDataAutomationAsync`)])).toMatchObject({
      service: 'bedrock-data-automation-runtime',
      operation: 'InvokeDataAutomationAsync',
      path: '/',
    });
  });

  it.each(['/bedrock-data-automation-runtime', '/bedrock-data-automation-runtime/'])(
    'resolves X-Amz-Target under %s',
    (path) => {
      expect(find('POST', path, [target(`${KEYSTONE}.TagResource`)])).toMatchObject({
        operation: 'TagResource',
        path: '/',
      });
    },
  );

  it('finds the service of X-Amz-Target for an operation that is new', () => {
    expect(find('POST', '/', [target(`${KEYSTONE}.BrandNew`)])).toMatchObject({
      service: 'bedrock-data-automation-runtime',
      operation: undefined,
    });
  });

  it('ignores X-Amz-Target on a path that names an operation', () => {
    expect(find('POST', '/model/x/invoke', [target(`${KEYSTONE}.TagResource`)])).toMatchObject({
      service: 'bedrock-runtime',
      operation: 'InvokeModel',
    });
  });

  it.each([
    ['none', 'POST', []],
    ['one of another service', 'POST', [target('DynamoDB_20120810.GetItem')]],
    ['the prefix without its dot', 'POST', [target(`${KEYSTONE}X.TagResource`)]],
    ['another method', 'GET', [target(`${KEYSTONE}.TagResource`)]],
  ] as const)('answers 404 to a bare mount with X-Amz-Target %s', (_, method, headers) => {
    expect(() => find(method, '/', headers)).toThrow(expect.objectContaining({ code: 'ERR_UNKNOWN_OPERATION' }));
  });

  it.each(['/', '/bedrock-data-automation-runtime/'])(
    'refuses two X-Amz-Target headers at %s, as AWS might read the other one',
    (path) => {
      const twice = [target(`${KEYSTONE}.GetDataAutomationStatus`), target(`${KEYSTONE}.InvokeDataAutomation`)];
      expect(() => find('POST', path, twice)).toThrow(expect.objectContaining({ code: 'ERR_BAD_REQUEST' }));
    },
  );
});

describe('a raw ARN after /model/', () => {
  it.each([
    ['InvokeModel', `/model/${PROFILE}/invoke`, `/model/${PROFILE.replace('/', '%2F')}/invoke`],
    ['ConverseStream', `/model/${PROFILE}/converse-stream`, `/model/${PROFILE.replace('/', '%2F')}/converse-stream`],
    [
      'Converse',
      '/model/arn%3Aaws:bedrock:r:1:x/a/b/invoke/converse',
      '/model/arn%3Aaws:bedrock:r:1:x%2Fa%2Fb%2Finvoke/converse',
    ],
  ])('sends a raw ARN after /model/ as one segment: %s', (operation, path, forwarded) => {
    expect(find('POST', path)).toMatchObject({ service: 'bedrock-runtime', operation, path: forwarded });
    expect(find('POST', `/bedrock-runtime${path}`)).toMatchObject({ operation, path: forwarded });
  });

  it('changes no ARN whose slash is encoded', () => {
    const path = `/model/${encodeURIComponent(PROFILE)}/invoke`;
    expect(find('POST', path).path).toBe(path);
  });

  it.each([
    '/model/a/b/invoke',
    `/model/${PROFILE}/unknown`,
    `/model/${PROFILE}/invoke/`,
    '/model/arn:aws:bedrock:r:1:x//y/invoke',
    '/model/arn:aws:bedrock:r:1:x/y//invoke',
    '/model/arn:aws:bedrock:r:1:x/invoke',
    '/models/arn:aws:bedrock:r:1:x/y/invoke',
  ])('leaves the path %s alone', (path) => {
    expect(encodeModelArn(path)).toBeUndefined();
  });
});

describe('an unknown path', () => {
  it.each([
    ['signed for agentcore', [signedFor('bedrock-agentcore')], 'bedrock-agentcore'],
    ['signed for mantle', [signedFor('bedrock-mantle')], 'bedrock-mantle'],
    ['from an SDK client', [['User-Agent', 'api/bedrock-agent#4.0']], 'bedrock-agent'],
    [
      'from a client that signs fittingly',
      [signedFor('bedrock-agentcore'), ['User-Agent', 'api/bedrock-agentcore-control#4']],
      'bedrock-agentcore-control',
    ],
    [
      'signed for another service than its user agent says',
      [signedFor('bedrock-agentcore'), ['User-Agent', 'api/bedrock#4']],
      'bedrock-agentcore',
    ],
  ] as const)('sends an unknown path on if it is %s', (_, headers, service) => {
    expect(find('POST', '/brand/new', headers)).toEqual({
      service,
      operation: undefined,
      path: '/brand/new',
      gatewayId: undefined,
    });
  });

  it.each([
    ['unsigned', []],
    ['signed for bedrock, which six services are', [signedFor('bedrock')]],
    ['signed for something else', [signedFor('s3')]],
    ['signed for a name every object has', [signedFor('__proto__')]],
    ['signed for a gateway, which is no signing name', [signedFor('agentcore-gateway')]],
  ])('answers 404 to an unknown path if it is %s', (_, headers) => {
    expect(() => find('POST', '/brand/new', headers)).toThrow(
      expect.objectContaining({ code: 'ERR_UNKNOWN_OPERATION' }),
    );
  });

  it.each([
    ['/v1/messages', 'CreateMessage', 'bedrock-runtime'],
    ['/v1/messages/', 'CreateMessage', 'bedrock-runtime'],
    ['/v1/messages/batches', 'CreateMessageBatch', 'bedrock-runtime'],
    ['/v1/messages/count_tokens', 'CountMessageTokens', 'bedrock-mantle'],
  ])("finds Anthropic's own path %s below /anthropic", (path, name, service) => {
    const found = find('POST', path);
    expect([found.service, found.operation, found.path]).toEqual([service, name, `/anthropic${path}`]);
  });

  it("sends a path that only begins like Anthropic's to mantle", () => {
    expect(find('POST', '/v1/messagesx').service).toBe('bedrock-mantle');
  });
});

describe('a gateway', () => {
  it.each([
    ['/agentcore-gateway/my-gw-1/mcp', 'InvokeGateway', '/mcp'],
    ['/agentcore-gateway//my-gw-1//mcp', 'InvokeGateway', '/mcp'],
    ['/agentcore-gateway/my-gw-1/.well-known/x', 'InvokeGateway', '/.well-known/x'],
    ['/agentcore-gateway/my-gw-1', 'InvokeGateway', '/'],
  ])('finds a gateway in %s', (path, operation, forwarded) => {
    expect(find('POST', path)).toEqual({
      service: 'agentcore-gateway',
      operation,
      path: forwarded,
      gatewayId: 'my-gw-1',
    });
  });

  it.each([
    '',
    '/',
    '/A/mcp',
    '/a.b/mcp',
    '/a%2Eb/mcp',
    '/a_b/mcp',
    '/-a/mcp',
    '/a-/mcp',
    '/a@evil.test/mcp',
    '/a:1/mcp',
    `/${'a'.repeat(64)}/mcp`,
  ])('finds no gateway in %j', (rest) => {
    expect(() => find('POST', `/agentcore-gateway${rest}`)).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_TARGET', hint: expect.stringContaining('/bedrock/agentcore-gateway/') }),
    );
  });
});
