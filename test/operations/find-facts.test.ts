import { describe, expect, it } from 'vitest';
import { findFacts, OPERATION_ROWS } from '../../src/operations/find-facts.ts';
import { OPERATIONS } from '../../src/operations/catalog.ts';
import { loadResponses } from '../helpers/responses.ts';

const NAMED = [
  ...new Map(
    OPERATIONS.flatMap(({ name, service, effect }) =>
      name === undefined ? [] : [[`${service.id} ${name}`, { service: service.id, name, effect }] as const],
    ),
  ).values(),
];
const ROWS = [...OPERATION_ROWS].flatMap(([service, rows]) => [...rows].map(([name, row]) => ({ service, name, row })));
const usageOf = (service: string, name: string | undefined) => findFacts(service, name).usage;

describe('the rows', () => {
  it('names in its rows only operations that exist', () => {
    const known = new Set(NAMED.map(({ service, name }) => `${service} ${name}`));
    expect(ROWS.filter(({ service, name }) => !known.has(`${service} ${name}`))).toEqual([]);
  });

  it('calls only operations free whose name does not say so', () => {
    const needless = ROWS.filter(({ name, row }) => row.usage === 'free' && usageOf('elsewhere', name) === 'free');
    // It shares its row with two that need the word.
    expect(needless.map(({ name }) => name)).toEqual(['ValidateFlowDefinition']);
  });

  it('says for every metered operation how its response is read', () => {
    const wrong = ROWS.filter(({ row }) => (row.usage === 'metered') !== (row.response !== undefined));
    expect(wrong).toEqual([]);
  });
});

describe('the usage of an operation', () => {
  it('calls free what only reads, but for what AgentCore sells and for what agents are asked', () => {
    const costly = NAMED.filter(
      ({ service, name, effect }) => effect === 'read' && usageOf(service, name) !== 'free',
    ).map(({ service, name }) => `${service} ${name}`);
    expect(costly.toSorted()).toEqual([
      'bedrock-agentcore GetMemoryRecord',
      'bedrock-agentcore ListEvents',
      'bedrock-agentcore ListMemoryRecords',
      'bedrock-agentcore SearchRegistryRecords',
      'bedrock-mantle StreamAgentEvents',
    ]);
  });

  /** To be thought about when an operation is added. */
  it.each([
    [
      'bedrock',
      'CreateAdvancedPromptOptimizationJob CreateAutomatedReasoningPolicy CreateAutomatedReasoningPolicyTestCase ' +
        'CreateAutomatedReasoningPolicyVersion CreateCustomModel CreateCustomModelDeployment CreateEvaluationJob ' +
        'CreateFoundationModelAgreement CreateMarketplaceModelEndpoint CreateModelCopyJob CreateModelCustomizationJob ' +
        'CreateModelImportJob CreateModelInvocationJob CreateProvisionedModelThroughput RegisterMarketplaceModelEndpoint ' +
        'StartAutomatedReasoningPolicyBuildWorkflow StartAutomatedReasoningPolicyTestWorkflow ' +
        'UpdateAutomatedReasoningPolicy UpdateAutomatedReasoningPolicyAnnotations UpdateAutomatedReasoningPolicyTestCase ' +
        'UpdateCustomModelDeployment UpdateMarketplaceModelEndpoint UpdateProvisionedModelThroughput',
    ],
    [
      'bedrock-runtime',
      'ArchiveProject CreateBatch CreateFile ' +
        'CreateFineTuningJob CreateMessageBatch CreateProject CreateVectorStore ' +
        'UpdateChatCompletion UpdateProject UpdateVectorStore',
    ],
    [
      'bedrock-agent',
      'CreateDataSource CreateKnowledgeBase CreateVpcConfiguration IngestKnowledgeBaseDocuments StartIngestionJob ' +
        'UpdateDataSource UpdateKnowledgeBase',
    ],
    [
      'bedrock-agent-runtime',
      'AgenticRetrieveStream CreateInvocation CreateSession GenerateQuery InvokeFlow OptimizePrompt PutInvocationStep ' +
        'Retrieve RetrieveAndGenerate RetrieveAndGenerateStream StartFlowExecution UpdateSession',
    ],
    [
      'bedrock-data-automation',
      'CreateDataAutomationLibrary InvokeBlueprintOptimizationAsync InvokeDataAutomationLibraryIngestionJob ' +
        'UpdateDataAutomationLibrary',
    ],
    ['bedrock-data-automation-runtime', 'InvokeDataAutomation InvokeDataAutomationAsync'],
    [
      'bedrock-mantle',
      'ArchiveProject CreateAgentSession CreateBatch ' +
        'CreateFile CreateFineTuningJob CreateMessageBatch CreateProject CreateVectorStore StreamAgentEvents ' +
        'SubmitAgentEvents UpdateChatCompletion UpdateProject UpdateVectorStore',
    ],
  ])('knows what of %s costs without a report of it', (service, names) => {
    const unreported = NAMED.filter(
      (operation) => operation.service === service && usageOf(service, operation.name) === 'unreported',
    ).map(({ name }) => name);
    expect(unreported.toSorted()).toEqual(names.split(' '));
  });

  it.each([
    ['bedrock-agentcore', 'InvokeAgentRuntime'],
    ['bedrock-agentcore', 'InvokeHarness'],
    ['bedrock-agentcore', 'GetWorkloadAccessToken'],
    ['bedrock-agentcore-control', 'StartPolicyGeneration'],
    ['bedrock-agentcore-control', 'CreateGateway'],
    // Nobody knows them.
    ['bedrock', 'CreateSomethingNew'],
    ['bedrock-runtime', undefined],
    ['bedrock-runtime', 'Getaway'],
  ])('calls the usage of %s %s unreported', (service, operation) => {
    expect(usageOf(service, operation)).toBe('unreported');
  });

  it.each([
    ['bedrock-runtime', 'CountTokens'],
    ['bedrock-mantle', 'CountMessageTokens'],
    ['bedrock-mantle', 'ListModels'],
    // What it repeats was counted when the response was made.
    ['bedrock-mantle', 'GetResponse'],
    ['bedrock', 'CreateGuardrail'],
    ['bedrock', 'StopModelInvocationJob'],
  ])('calls %s %s free', (service, operation) => {
    expect(usageOf(service, operation)).toBe('free');
  });
});

describe('an operation that is called metered', () => {
  const answered = new Set(
    ['json.json', 'streams.json', 'sse.json'].flatMap(loadResponses).map(({ operation }) => operation),
  );

  it('reads the response of every metered operation', () => {
    const metered = ROWS.filter(({ row }) => row.usage === 'metered').map(({ name }) => name);
    expect(metered.filter((name) => !answered.has(name))).toEqual([]);
  });
});

it.each([
  ['bedrock-runtime', 'Converse', 'text'],
  ['bedrock-runtime', 'InvokeModelWithBidirectionalStream', 'speech'],
  ['bedrock-runtime', 'ApplyGuardrail', 'guardrail'],
  ['bedrock-runtime', 'InvokeGuardrailChecks', 'guardrail'],
  ['bedrock-runtime', undefined, 'text'],
])('knows that %s %s works with %s', (service, operation, medium) => {
  expect(findFacts(service, operation).medium).toBe(medium);
});
