import { describe, expect, it } from 'vitest';
import { bodyTakesOtherWay, disambiguate, type OpenaiUpstream } from '../../src/routing/disambiguate.ts';
import { readRequestHints } from '../../src/routing/request-hints.ts';
import { matchOperations } from '../../src/operations/matcher.ts';

const AGENT = 'arn:aws:bedrock:us-east-1:123456789012:agent/AGENT12345';
const SESSION = 'arn:aws:bedrock:us-east-1:123456789012:session/0f8b1d1e';
const RUNTIME = 'arn:aws-us-gov:bedrock-agentcore:us-gov-west-1:123456789012:runtime/x-AbCdEf1234';

interface Clues {
  readonly scope?: string;
  readonly userAgent?: string;
  readonly openaiUpstream?: OpenaiUpstream;
}

function choose(method: string, path: string, { scope, userAgent, openaiUpstream = 'runtime' }: Clues = {}) {
  const headers = userAgent === undefined ? [] : [['user-agent', userAgent] as const];
  const signedFor = scope && { accessKeyId: 'K', date: '20260101', region: 'us-east-1', service: scope };
  const hints = readRequestHints(headers, signedFor || undefined);
  return disambiguate(matchOperations(method, path), { path, hints, openaiUpstream });
}

describe('disambiguate', () => {
  it('decides nothing between no candidates', () => {
    expect(choose('GET', '/nowhere')).toBeUndefined();
  });

  const tags = ['GET', 'POST', 'DELETE'].flatMap((method) => [
    [method, '/tags/', AGENT, 'bedrock-agent'],
    [method, '/tags/', SESSION, 'bedrock-agent-runtime'],
    [method, '/tags/', RUNTIME, 'bedrock-agentcore-control'],
    [method, '/tags/', 'not-an-arn', 'bedrock-agent'],
    [method, '/tags/', 'arn:aws:bedrock:us-east-1:1:sessions/x', 'bedrock-agent'],
  ]);
  const policies = ['GET', 'PUT', 'DELETE'].flatMap((method) => [
    [method, '/resourcepolicy/', AGENT, 'bedrock-agent'],
    [method, '/resourcepolicy/', SESSION, 'bedrock-agent'],
    [method, '/resourcepolicy/', RUNTIME, 'bedrock-agentcore-control'],
  ]);
  it.each([...tags, ...policies])(
    'decides between services for %s %s by the ARN %s: %s',
    (method = '', prefix = '', arn = '', service) => {
      for (const segment of [
        encodeURIComponent(arn),
        encodeURIComponent(arn).toLowerCase(),
        arn.replaceAll('/', '%2F'),
      ]) {
        // The second spelling has its hexadecimal digits in lower case.
        expect(choose(method, prefix + segment)?.operation.service.id).toBe(service);
      }
    },
  );

  it.each([
    ['bedrock-agentcore', 'bedrock-agentcore-control'],
    ['bedrock', 'bedrock-agent'],
  ])('prefers a credential scope of %s to the ARN', (scope, service) => {
    const arn = scope === 'bedrock' ? RUNTIME : AGENT;
    expect(choose('GET', `/tags/${encodeURIComponent(arn)}`, { scope })?.operation.service.id).toBe(service);
  });

  it('prefers the user agent to the ARN, and the scope to the user agent', () => {
    const path = `/tags/${encodeURIComponent(AGENT)}`;
    const userAgent = 'aws-sdk-js/3 api/bedrock-agent-runtime#3.1';
    expect(choose('GET', path, { userAgent })?.operation.service.id).toBe('bedrock-agent-runtime');
    expect(choose('GET', path, { userAgent, scope: 'bedrock-agentcore' })?.operation.service.id).toBe(
      'bedrock-agentcore-control',
    );
  });

  it.each(['/listTagsForResource', '/tagResource', '/untagResource'])(
    'leaves the service of POST %s to the body',
    (path) => {
      expect(choose('POST', path)).toMatchObject({
        operation: { service: { id: 'bedrock' } },
        otherwise: { rule: 'tagged-arn', operation: { service: { id: 'bedrock-data-automation' } } },
      });
      expect(choose('POST', path, { scope: 'bedrock' })?.otherwise).toBeDefined();
    },
  );

  it.each([
    ['api/bedrock#3', 'bedrock'],
    ['api/bedrock-data-automation#3', 'bedrock-data-automation'],
  ])('needs no body to decide on tags from %s', (userAgent, service) => {
    expect(choose('POST', '/tagResource', { userAgent })).toMatchObject({
      operation: { service: { id: service } },
      otherwise: undefined,
    });
  });

  it.each([
    ['/agents/ABCDEFGHIJ/', {}, 'PrepareAgent', false],
    ['/agents/ABCDEFGHIJ', {}, 'InvokeInlineAgent', true],
    ['/agents/ABCDEFGHIJ', { userAgent: 'api/bedrock-agent-runtime#3' }, 'InvokeInlineAgent', false],
    ['/agents/my-session', {}, 'InvokeInlineAgent', false],
    ['/agents/ABCDEFGHIJK', {}, 'InvokeInlineAgent', false],
  ])('decides that POST %s %j is %s, up to the body: %s', (path, clues, name, upToTheBody) => {
    const choice = choose('POST', path, clues);
    expect(choice?.operation.name).toBe(name);
    expect(choice?.otherwise?.rule).toBe(upToTheBody ? 'lost-slash' : undefined);
  });

  it.each([
    ['the runtime by default', {}, 'bedrock-runtime'],
    ['mantle if configured', { openaiUpstream: 'mantle' }, 'bedrock-mantle'],
    ['mantle if signed for it', { scope: 'bedrock-mantle' }, 'bedrock-mantle'],
    ['the runtime if signed for it', { scope: 'bedrock', openaiUpstream: 'mantle' }, 'bedrock-runtime'],
    ['mantle for its own client', { userAgent: 'AnthropicBedrockMantle/JS 1.1' }, 'bedrock-mantle'],
  ] as const)('sends /openai and /anthropic to %s', (_, clues, service) => {
    for (const path of ['/openai/v1/chat/completions', '/openai/v1/x', '/anthropic/v1/messages', '/anthropic/x/y']) {
      expect(choose('POST', path, clues)?.operation.service.id).toBe(service);
    }
  });

  it.each([
    '/openai/v1/agents/sessions',
    '/openai/v1/agents/sessions/x/y',
    '/anthropic/v1/messages/count_tokens',
    '/v1/x',
  ])('sends POST %s to mantle only, whoever signed', (path) => {
    expect(choose('POST', path, { scope: 'bedrock' })?.operation.service.id).toBe('bedrock-mantle');
  });
});

const body = (resourceARN: unknown) => Buffer.from(JSON.stringify({ tags: [], resourceARN }));

describe('bodyTakesOtherWay', () => {
  const types = [
    'blueprint',
    'blueprint-optimization-invocation',
    'data-automation-project',
    'data-automation-library',
    'data-automation-library-ingestion-job',
  ];

  it.each(types)('sends the tags of a %s to data automation for the ARN in the body', (type) => {
    expect(bodyTakesOtherWay('tagged-arn', body(`arn:aws:bedrock:us-east-1:123456789012:${type}/x`))).toBe(true);
  });

  it.each([
    ['another type', body('arn:aws:bedrock:us-east-1:123456789012:guardrail/x')],
    ['a longer type', body('arn:aws:bedrock:us-east-1:123456789012:blueprints/x')],
    ['another service', body('arn:aws:s3:us-east-1:123456789012:blueprint/x')],
    ['no ARN', body('blueprint')],
    ['a number', body(7)],
    ['null', body(null)],
    ['an inherited member', Buffer.from('{"__proto__":{"resourceARN":"arn:aws:bedrock:us-east-1:1:blueprint/x"}}')],
    ['an array', Buffer.from('["resourceARN"]')],
    ['JSON null', Buffer.from('null')],
    ['nothing', Buffer.alloc(0)],
    ['broken JSON', Buffer.from('{"resourceARN":"arn:aws:bedrock:us-east-1:1:blueprint/x"')],
    ['bytes', Buffer.from([0xff, 0xfe, 0x00])],
    ['deep nesting', Buffer.from('['.repeat(500_000))],
    ['far too much', Buffer.concat([Buffer.alloc(1_100_000, ' '), body('arn:aws:bedrock:us-east-1:1:blueprint/x')])],
  ])('leaves a tagging call where it is, without failing, if its body holds %s', (_, bytes) => {
    expect(bodyTakesOtherWay('tagged-arn', bytes)).toBe(false);
  });

  it('takes an empty body for a lost slash', () => {
    expect(bodyTakesOtherWay('lost-slash', Buffer.alloc(0))).toBe(true);
    expect(bodyTakesOtherWay('lost-slash', Buffer.from('{}'))).toBe(false);
  });
});
