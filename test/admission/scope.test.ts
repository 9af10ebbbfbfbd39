import { parseTarget } from '../../src/http/target.ts';
import { describe, expect, it } from 'vitest';
import type { KeyPolicy } from '../../src/domain/key.ts';
import { checkRegion, checkScope } from '../../src/admission/scope.ts';
import { OPERATIONS, SERVICES } from '../../src/operations/catalog.ts';
import { findRoute, type Route, type RoutingConfig } from '../../src/routing/route.ts';
import { failureOf } from '../helpers/failure.ts';

const CONFIG: RoutingConfig = {
  defaultRegion: 'us-east-1',
  openaiUpstream: 'runtime',
  fips: false,
  dualstack: false,
  endpointUrls: new Map(),
};

function routeOf(method: string, rawTarget: string): Route {
  return findRoute({
    method,
    target: parseTarget(rawTarget),
    scope: undefined,
    headers: [],
    mountPath: '',
    config: CONFIG,
  });
}

const reached = (operation: (typeof OPERATIONS)[number]) => ({
  service: operation.service.id,
  operation: operation.name,
  region: 'us-east-1',
  modelId: undefined,
  plane: operation.service.plane,
  effect: operation.effect,
});

function passes(scope: KeyPolicy['scope'], route: Parameters<typeof checkScope>[1]): boolean {
  try {
    checkScope({ scope }, route);
    return true;
  } catch {
    return false;
  }
}

const NAMED = OPERATIONS.filter(({ name }) => name !== undefined);
const DATA_PLANE = new Set([
  'bedrock-runtime',
  'bedrock-agent-runtime',
  'bedrock-agentcore',
  'bedrock-data-automation-runtime',
  'bedrock-mantle',
  'agentcore-gateway',
]);

describe('the default scope', () => {
  it('opens by default what writes nothing on a data plane, and elsewhere what only gets and lists', () => {
    const open = NAMED.filter((operation) => passes('default', reached(operation)));
    const wrong = NAMED.filter(
      ({ service, name, effect }) =>
        open.some((one) => one.service === service && one.name === name) !==
        (DATA_PLANE.has(service.id)
          ? effect !== 'write' && effect !== 'secret'
          : /^(?:Get|List)[A-Z]/.test(name ?? '')),
    );
    expect(wrong.map(({ service, name }) => `${service.id} ${name}`)).toEqual([]);
    expect(open.length).toBeGreaterThan(200);
    expect(NAMED.length - open.length).toBeGreaterThan(150);
  });

  it.each([
    ['DELETE', '/guardrails/abc', 'DeleteGuardrail'],
    ['POST', '/provisioned-model-throughput', 'CreateProvisionedModelThroughput'],
    ['POST', '/model-invocation-job', 'CreateModelInvocationJob'],
    ['PUT', '/logging/modelinvocations', 'PutModelInvocationLoggingConfiguration'],
    ['POST', '/tagResource', 'TagResource'],
  ])('does not open %s %s by default', async (method, path, operation) => {
    const closed = routeOf(method, path);
    expect(closed).toMatchObject({ operation, plane: 'control' });
    expect(await failureOf(() => checkScope({ scope: 'default' }, closed))).toMatchObject({
      code: 'ERR_SCOPE',
      status: 403,
      awsType: 'AccessDeniedException',
      message: `This key may not use ${operation} of bedrock.`,
    });
    expect(passes('all', closed)).toBe(true);
  });

  it.each([
    ['GET', '/foundation-models', 'ListFoundationModels'],
    ['GET', '/inference-profiles', 'ListInferenceProfiles'],
    ['POST', '/listTagsForResource', 'ListTagsForResource'],
    ['POST', '/model/a.b/converse', 'Converse'],
  ])('opens %s %s by default', (method, path, operation) => {
    const open = routeOf(method, path);
    expect(open.operation).toBe(operation);
    expect(passes('default', open)).toBe(true);
  });

  it.each([
    ['GET', 'control', 'read', false],
    ['GET', 'data', 'read', true],
    ['an unknown write', 'control', 'write', false],
    ['an unknown write', 'data', 'write', false],
  ] as const)('decides by default on what nobody knows: %s on the %s plane', (_, plane, effect, expected) => {
    const unknown = {
      service: 'bedrock',
      operation: undefined,
      region: 'us-east-1',
      modelId: undefined,
      plane,
      effect,
    };
    expect(passes('default', unknown)).toBe(expected);
    expect([passes('inference', unknown), passes('all', unknown)]).toEqual([false, true]);
  });

  it.each(['GetawayCar', 'Listen', 'Listless', 'ValidateFlowDefinition', 'ExportAutomatedReasoningPolicyVersion'])(
    'does not open by default a name like %s',
    (operation) => {
      const route = {
        service: 'bedrock',
        operation,
        region: 'r',
        modelId: undefined,
        plane: 'control',
        effect: 'read',
      } as const;
      expect(passes('default', route)).toBe(false);
    },
  );

  it('does not take a name for a read without the mark of a read', () => {
    const route = {
      service: 'bedrock-agentcore-control',
      operation: 'GetSecretToken',
      region: 'r',
      modelId: undefined,
      plane: 'control',
      effect: 'write',
    } as const;
    expect(passes('default', route)).toBe(false);
  });
});

describe('the scope inference', () => {
  it.each([
    ['POST', '/model/a.b/converse-stream'],
    ['POST', '/model/a.b/count-tokens'],
    ['POST', '/model/a.b/invoke-with-bidirectional-stream'],
    ['POST', '/openai/v1/chat/completions'],
    ['POST', '/v1/responses'],
    ['POST', '/v1/embeddings'],
    ['GET', '/openai/v1/models'],
    ['POST', '/anthropic/v1/messages'],
    ['POST', '/anthropic/v1/messages/count_tokens'],
    ['POST', '/guardrail/g/version/1/apply'],
    ['POST', '/rerank'],
  ])('opens %s %s', (method, path) => {
    expect(passes('inference', routeOf(method, path))).toBe(true);
  });

  it.each([
    ['GET', '/foundation-models'],
    ['GET', '/inference-profiles'],
    ['POST', '/async-invoke'],
    ['GET', '/v1/responses/resp_1'],
    ['DELETE', '/v1/responses/resp_1'],
    ['POST', '/retrieveAndGenerate'],
    ['POST', '/agents/a/agentAliases/b/sessions/c/text'],
    ['POST', '/runtimes/r/invocations'],
    ['POST', '/agentcore-gateway/g1/mcp'],
    ['GET', '/bedrock-runtime/of/tomorrow'],
  ])('does not open %s %s', async (method, path) => {
    expect(await failureOf(() => checkScope({ scope: 'inference' }, routeOf(method, path)))).toMatchObject({
      code: 'ERR_SCOPE',
      hint: expect.stringContaining('models and nothing else'),
    });
  });
});

describe('what hands out credentials of the account', () => {
  it.each([
    ['POST', '/identities/api-key'],
    ['POST', '/identities/oauth2/token'],
    ['POST', '/identities/GetWorkloadAccessToken'],
    ['POST', '/bedrock-agentcore/identities/api-key'],
    ['POST', '/bedrock-agentcore/identi%74ies/api-key'],
    ['POST', '/bedrock-agentcore/identi%2574ies/api-key'],
    ['POST', '/bedrock-agentcore/IDENTITIES/api-key'],
    ['POST', '/bedrock-agentcore/identities/api-key/'],
    ['GET', '/bedrock-agentcore/identities/tokens-of-tomorrow'],
    ['POST', '/bedrock-runtime/identities/payment/token'],
  ])('is closed to every scope: %s %s', async (method, path) => {
    for (const scope of ['inference', 'default', 'all'] as const) {
      const error = await failureOf(() => checkScope({ scope }, routeOf(method, path)));
      expect([error.code, error.hint]).toEqual(['ERR_SCOPE', expect.stringContaining('credentials of the account')]);
    }
  });

  it('is not what only has the word in it', () => {
    expect(passes('default', routeOf('POST', '/runtimes/r/invocations/identities/api-key'))).toBe(true);
    expect(passes('all', routeOf('GET', '/bedrock-agentcore-control/identities/x-of-tomorrow'))).toBe(false);
    expect(passes('all', routeOf('POST', '/identities/CreateWorkloadIdentity'))).toBe(true);
  });
});

describe('a path behind a service that does not have it', () => {
  it.each([
    ['DELETE', '/bedrock-runtime/guardrails/abc', 'bedrock', 'DeleteGuardrail', false],
    [
      'POST',
      '/bedrock-agent-runtime/provisioned-model-throughput',
      'bedrock',
      'CreateProvisionedModelThroughput',
      false,
    ],
    ['DELETE', '/bedrock-data-automation-runtime/guardrails/abc', 'bedrock', 'DeleteGuardrail', false],
    ['DELETE', '/agentcore-gateway/g1/guardrails/abc', 'bedrock', 'DeleteGuardrail', false],
    ['PUT', '/bedrock-agentcore/memories/m1/update', 'bedrock-agentcore-control', 'UpdateMemory', false],
    ['POST', '/bedrock-mantle/model/a.b/converse', 'bedrock-runtime', 'Converse', true],
    ['POST', '/bedrock/model/a.b/converse', 'bedrock-runtime', 'Converse', true],
    ['POST', '/bedrock-runtime/v1/files', 'bedrock-mantle', 'CreateFile', false],
    ['GET', '/bedrock-runtime/guardrails', 'bedrock', 'ListGuardrails', true],
    ['POST', '/bedrock-agent-runtime/agents/ABCDEFGHIJ/', 'bedrock-agent-runtime', 'InvokeInlineAgent', false],
    ['POST', '/bedrock-agent-runtime/agents/ABCDEFGHIJ', 'bedrock-agent-runtime', 'InvokeInlineAgent', true],
  ])('is what the table knows it as: %s %s', (method, path, service, operation, isOpen) => {
    const route = routeOf(method, path);
    expect(route).toMatchObject({ service, operation });
    expect(passes('default', route)).toBe(isOpen);
  });

  it('is open by default as behind its own, with every operation and every service', () => {
    const services = [...SERVICES.values()].filter(
      ({ id, targetPrefix }) => id !== 'agentcore-gateway' && !targetPrefix,
    );
    const wrong = NAMED.flatMap((operation) => {
      const { method, template, service } = operation;
      if (method === '*' || service.targetPrefix !== undefined) return [];
      const path = template.replaceAll(/\{[^}]+\}/g, 'x');
      const expected = passes('default', reached(operation));
      const prefixes = [
        ...services.map(({ id }) => `/${id}`),
        '/agentcore-gateway/g1',
        '/bedrock-data-automation-runtime',
      ];
      return prefixes.filter((id) => passes('default', routeOf(method, id + path)) !== expected).map((id) => id + path);
    });
    // There it is PrepareAgent that lost its slash.
    expect(wrong).toEqual(['/bedrock-agent/agents/x']);
  });

  it('goes where the client said, signed for that', () => {
    expect(routeOf('POST', '/bedrock-agentcore/model/a.b/converse')).toMatchObject({
      modelId: 'a.b',
      signingName: 'bedrock-agentcore',
      host: 'bedrock-agentcore.us-east-1.amazonaws.com',
      bearerKeys: false,
    });
  });
});

describe('regions', () => {
  it.each([
    [[], 'us-east-1', true],
    [['us-east-1'], 'us-east-1', true],
    [['us-east-1'], 'us-east-10', false],
    [['us-east-1'], 'us-east', false],
    [['eu-*'], 'eu-central-1', true],
    [['eu-*'], 'us-east-1', false],
    [['eu-*', 'us-*'], 'us-gov-west-1', true],
    [['*'], 'ap-south-1', true],
    [['US-EAST-1'], 'us-east-1', false],
  ])('decides by the regions %j on %s: %s', async (regions, region, expected) => {
    if (expected) return checkRegion({ regions }, { region });
    expect(await failureOf(() => checkRegion({ regions }, { region }))).toMatchObject({
      code: 'ERR_REGION_NOT_ALLOWED',
      status: 403,
      message: `This key may not use the region ${region}.`,
    });
  });
});
