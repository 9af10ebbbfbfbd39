import { parseTarget } from '../../src/http/target.ts';
import { describe, expect, it } from 'vitest';
import { checkRegion, checkScope } from '../../src/admission/scope.ts';
import { OPERATIONS } from '../../src/operations/catalog.ts';
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
  readOnly: operation.readOnly,
});

function passes(scope: 'default' | 'all', route: Parameters<typeof checkScope>[1]): boolean {
  try {
    checkScope({ scope }, route);
    return true;
  } catch {
    return false;
  }
}

const DATA_PLANE = new Set([
  'bedrock-runtime',
  'bedrock-agent-runtime',
  'bedrock-agentcore',
  'bedrock-data-automation-runtime',
  'bedrock-mantle',
  'agentcore-gateway',
]);

describe('the default scope', () => {
  it('opens by default all of the data plane, and of everything else what only gets and lists', () => {
    const open = OPERATIONS.filter((operation) => passes('default', reached(operation)));
    const wrong = OPERATIONS.filter(
      ({ service, name }) =>
        open.some((one) => one.service === service && one.name === name) !==
        (DATA_PLANE.has(service.id) || /^(?:Get|List)[A-Z]/.test(name ?? '')),
    );
    expect(wrong.map(({ service, name }) => `${service.id} ${name}`)).toEqual([]);
    expect(open.length).toBeGreaterThan(200);
    expect(OPERATIONS.length - open.length).toBeGreaterThan(150);
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
    ['GET', 'control', true, false],
    ['GET', 'data', true, true],
    ['an unknown write', 'control', false, false],
    ['an unknown write', 'data', false, true],
  ] as const)('decides by default on what nobody knows: %s on the %s plane', (_, plane, readOnly, expected) => {
    const unknown = {
      service: 'bedrock',
      operation: undefined,
      region: 'us-east-1',
      modelId: undefined,
      plane,
      readOnly,
    };
    expect(passes('default', unknown)).toBe(expected);
    expect(passes('all', unknown)).toBe(true);
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
        readOnly: true,
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
      readOnly: false,
    } as const;
    expect(passes('default', route)).toBe(false);
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
