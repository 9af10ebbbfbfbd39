import { describe, expect, it } from 'vitest';
import { OPERATIONS, SERVICES, findService } from '../../src/operations/catalog.ts';

const find = (service: string, name: string) =>
  OPERATIONS.find((operation) => operation.service.id === service && operation.name === name);

describe('the catalog', () => {
  it.each([
    ['bedrock', 'bedrock', 'control', true],
    ['bedrock-runtime', 'bedrock', 'data', true],
    ['bedrock-agent', 'bedrock', 'control', false],
    ['bedrock-agent-runtime', 'bedrock', 'data', false],
    ['bedrock-data-automation', 'bedrock', 'control', false],
    ['bedrock-data-automation-runtime', 'bedrock', 'data', false],
    ['bedrock-agentcore', 'bedrock-agentcore', 'data', false],
    ['bedrock-agentcore-control', 'bedrock-agentcore', 'control', false],
    ['bedrock-mantle', 'bedrock-mantle', 'data', true],
    ['agentcore-gateway', 'bedrock-agentcore', 'data', false],
  ] as const)('lists %s, which signs as %s, in the %s plane', (id, signingName, plane, bearerKeys) => {
    expect(findService(id)).toMatchObject({ signingName, plane, bearerKeys });
  });

  it('lists ten services', () => {
    expect(SERVICES.size).toBe(10);
  });

  it.each([
    ['bedrock-runtime', 'ConverseStream', 'events', 'inference'],
    ['bedrock-runtime', 'InvokeModelWithBidirectionalStream', 'both', 'inference'],
    ['bedrock-runtime', 'InvokeModel', 'none', 'inference'],
    ['bedrock-runtime', 'CountTokens', 'none', 'inference'],
    ['bedrock-agentcore', 'InvokeAgentRuntime', 'blob', 'invoke'],
    ['bedrock-agentcore', 'GetWorkloadAccessToken', 'none', 'secret'],
    ['bedrock-agentcore', 'GetResourceApiKey', 'none', 'secret'],
    ['bedrock-agent', 'ListAgents', 'none', 'read'],
    ['bedrock-agent-runtime', 'Retrieve', 'none', 'invoke'],
    ['bedrock', 'ExportAutomatedReasoningPolicyVersion', 'none', 'read'],
    ['bedrock-mantle', 'StreamAgentEvents', 'sse', 'read'],
    ['bedrock-agentcore', 'ConnectBrowserAutomationStream', 'websocket', 'invoke'],
  ])('says of %s %s: stream %s, effect %s', (service, name, stream, effect) => {
    expect(find(service, name)).toMatchObject({ stream, effect });
  });

  it('lists no operation as read-only that deletes or writes by its method', () => {
    const writing = OPERATIONS.filter(({ effect, method }) => effect === 'read' && !['GET', 'POST'].includes(method));
    expect(writing).toEqual([]);
  });
});
