/**
 * What each operation does, on which the scope of a key is decided. On a control plane all that does not read writes;
 * of a data plane these are the lists, to be thought about when an operation is added.
 */
import { describe, expect, it } from 'vitest';
import { OPERATIONS } from '../../src/operations/catalog.ts';
import type { Effect } from '../../src/operations/facts.ts';
import { OPERATION_ROWS } from '../../src/operations/find-facts.ts';

const named = OPERATIONS.filter(({ name }) => name !== undefined);

function namesOf(service: string, effect: Effect): string {
  const names = named
    .filter((operation) => operation.service.id === service && operation.effect === effect)
    .map(({ name }) => name);
  return [...new Set(names)].toSorted().join(' ');
}

describe('the effect of an operation', () => {
  it('stands in its row, or comes from its route or its plane', () => {
    const wrong = named.filter(({ service, name = '', method, effect }) => {
      const row = OPERATION_ROWS.get(service.id)?.get(name)?.effect;
      if (row !== undefined) return effect !== row;
      if (effect === 'read') return !['GET', 'POST'].includes(method);
      return effect !== (service.plane === 'data' ? 'invoke' : 'write');
    });
    expect(wrong).toEqual([]);
  });

  it('is the same on every route of an operation', () => {
    const effects = Map.groupBy(named, ({ service, name }) => `${service.id} ${name}`);
    const mixed = [...effects].filter(([, routes]) => new Set(routes.map(({ effect }) => effect)).size > 1);
    expect(mixed.map(([name]) => name)).toEqual([]);
  });

  it('is read or write on a control plane', () => {
    const effects = named.filter(({ service }) => service.plane === 'control').map(({ effect }) => effect);
    expect([...new Set(effects)].toSorted()).toEqual(['read', 'write']);
  });

  it.each<[service: string, effect: Effect, names: string]>([
    ['bedrock-runtime', 'invoke', 'CancelResponse StartAsyncInvoke'],
    [
      'bedrock-runtime',
      'inference',
      'ApplyGuardrail ChatCompletions CompactResponse Converse ConverseStream CountResponseTokens ' +
        'CountTokens CreateCompletion CreateEmbedding CreateMessage CreateResponse InvokeGuardrailChecks ' +
        'InvokeModel InvokeModelWithBidirectionalStream InvokeModelWithResponseStream ListModels',
    ],
    [
      'bedrock-agent-runtime',
      'invoke',
      'AgenticRetrieveStream CreateInvocation CreateSession DeleteAgentMemory DeleteSession EndSession ' +
        'GenerateQuery InvokeAgent InvokeFlow InvokeInlineAgent OptimizePrompt PutInvocationStep Retrieve ' +
        'RetrieveAndGenerate RetrieveAndGenerateStream StartFlowExecution StopFlowExecution UpdateSession',
    ],
    ['bedrock-agent-runtime', 'inference', 'Rerank'],
    ['bedrock-agent-runtime', 'write', 'TagResource UntagResource'],
    [
      'bedrock-agentcore',
      'invoke',
      'BatchCreateMemoryRecords BatchDeleteMemoryRecords BatchUpdateMemoryRecords ' +
        'CompleteResourceTokenAuth ConnectBrowserAutomationStream ConnectBrowserLiveViewStream CreateABTest ' +
        'CreateEvent CreatePaymentInstrument CreatePaymentSession DeleteABTest DeleteBatchEvaluation ' +
        'DeleteCapacityProviderSession DeleteEvent DeleteMemoryRecord DeletePaymentInstrument ' +
        'DeletePaymentSession DeleteRecommendation Evaluate IngestData InvokeAgentRuntime InvokeAgentRuntimeCommand ' +
        'InvokeAgentRuntimeShell InvokeAgentRuntimeSubpath InvokeAgentRuntimeWithWebSocketStream ' +
        'InvokeBrowser InvokeCodeInterpreter InvokeHarness ProcessPayment RetrieveMemoryRecords ' +
        'SaveBrowserSessionProfile StartBatchEvaluation StartBrowserSession StartCodeInterpreterSession ' +
        'StartMemoryExtractionJob StartRecommendation StopBatchEvaluation StopBrowserSession ' +
        'StopCodeInterpreterSession StopRuntimeSession UpdateABTest UpdateBrowserStream',
    ],
    [
      'bedrock-agentcore',
      'secret',
      'GetResourceApiKey GetResourceOauth2Token GetResourcePaymentToken GetWorkloadAccessToken ' +
        'GetWorkloadAccessTokenForJWT GetWorkloadAccessTokenForUserId',
    ],
    ['bedrock-data-automation-runtime', 'invoke', 'InvokeDataAutomation InvokeDataAutomationAsync'],
    ['bedrock-data-automation-runtime', 'write', 'TagResource UntagResource'],
    [
      'bedrock-runtime',
      'write',
      'ArchiveProject CancelBatch CancelFineTuningJob CreateBatch CreateFile CreateFineTuningJob ' +
        'CreateMessageBatch CreateProject CreateVectorStore DeleteChatCompletion DeleteFile DeleteModel ' +
        'DeleteResponse DeleteVectorStore UpdateChatCompletion UpdateProject UpdateVectorStore',
    ],
    [
      'bedrock-mantle',
      'inference',
      'ChatCompletions CompactResponse CountMessageTokens CountResponseTokens CreateCompletion ' +
        'CreateEmbedding CreateMessage CreateResponse ListModels',
    ],
    ['bedrock-mantle', 'invoke', 'CancelResponse CreateAgentSession SubmitAgentEvents'],
    [
      'bedrock-mantle',
      'write',
      'ArchiveProject CancelBatch CancelFineTuningJob CreateBatch CreateFile CreateFineTuningJob ' +
        'CreateMessageBatch CreateProject CreateVectorStore DeleteAgentSession DeleteChatCompletion ' +
        'DeleteFile DeleteModel DeleteResponse DeleteVectorStore UpdateChatCompletion UpdateProject ' +
        'UpdateVectorStore',
    ],
  ])('knows the operations of %s with the effect %s', (service, effect, names) => {
    expect(namesOf(service, effect)).toBe(names);
  });
});
