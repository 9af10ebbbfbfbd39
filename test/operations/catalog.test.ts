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
    ['bedrock-runtime', 'ConverseStream', 'events', false],
    ['bedrock-runtime', 'InvokeModelWithBidirectionalStream', 'both', false],
    ['bedrock-runtime', 'InvokeModel', 'none', false],
    ['bedrock-runtime', 'CountTokens', 'none', true],
    ['bedrock-agentcore', 'InvokeAgentRuntime', 'blob', false],
    ['bedrock-agentcore', 'GetWorkloadAccessToken', 'none', false],
    ['bedrock-agentcore', 'GetResourceApiKey', 'none', false],
    ['bedrock-agent', 'ListAgents', 'none', true],
    ['bedrock-agent-runtime', 'Retrieve', 'none', false],
    ['bedrock', 'ExportAutomatedReasoningPolicyVersion', 'none', true],
    ['bedrock-mantle', 'StreamAgentEvents', 'sse', true],
    ['bedrock-agentcore', 'ConnectBrowserAutomationStream', 'websocket', false],
  ])('says of %s %s: stream %s, read only %s', (service, name, stream, readOnly) => {
    expect(find(service, name)).toMatchObject({ stream, readOnly });
  });

  it('lists no operation as read-only that deletes or writes by its method', () => {
    const writing = OPERATIONS.filter(({ readOnly, method }) => readOnly && !['GET', 'POST'].includes(method));
    expect(writing).toEqual([]);
  });
});
