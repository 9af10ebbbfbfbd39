import { describe, expect, it } from 'vitest';
import {
  COSTLY_OPERATIONS,
  FREE_OPERATIONS,
  METERED_OPERATIONS,
  usageKindOf,
} from '../../src/operations/usage-kinds.ts';
import { OPERATIONS } from '../../src/operations/catalog.ts';
import { loadResponses } from '../helpers/responses.ts';

const NAMED = [
  ...new Map(
    OPERATIONS.flatMap(({ name, service, readOnly }) =>
      name === undefined ? [] : [[`${service.id} ${name}`, { service: service.id, name, readOnly }] as const],
    ),
  ).values(),
];
const LISTED = [METERED_OPERATIONS, COSTLY_OPERATIONS, FREE_OPERATIONS].flatMap((table) =>
  [...table].flatMap(([service, names]) => [...names].map((name) => ({ service, name }))),
);

describe('the lists', () => {
  it('name only operations that exist', () => {
    const known = new Set(NAMED.map(({ service, name }) => `${service} ${name}`));
    expect(LISTED.filter(({ service, name }) => !known.has(`${service} ${name}`))).toEqual([]);
  });

  it('name no operation twice', () => {
    const names = LISTED.map(({ service, name }) => `${service} ${name}`);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  it('name nothing as free that its name already makes free', () => {
    const needless = [...FREE_OPERATIONS].flatMap(([, names]) =>
      [...names].filter((name) => usageKindOf('elsewhere', name) === 'free'),
    );
    expect(needless).toEqual([]);
  });
});

describe('usageKindOf', () => {
  it('calls free what only reads, but for what AgentCore sells and for what agents are asked', () => {
    const costly = NAMED.filter(({ service, name, readOnly }) => readOnly && usageKindOf(service, name) !== 'free').map(
      ({ service, name }) => `${service} ${name}`,
    );
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
    ['bedrock-runtime', 'StartAsyncInvoke'],
    [
      'bedrock-agent',
      'CreateDataSource CreateKnowledgeBase CreateVpcConfiguration IngestKnowledgeBaseDocuments StartIngestionJob ' +
        'UpdateDataSource UpdateKnowledgeBase',
    ],
    [
      'bedrock-agent-runtime',
      'AgenticRetrieveStream CreateInvocation CreateSession GenerateQuery InvokeFlow OptimizePrompt PutInvocationStep ' +
        'Rerank Retrieve RetrieveAndGenerate RetrieveAndGenerateStream StartFlowExecution UpdateSession',
    ],
    [
      'bedrock-data-automation',
      'CreateDataAutomationLibrary InvokeBlueprintOptimizationAsync InvokeDataAutomationLibraryIngestionJob ' +
        'UpdateDataAutomationLibrary',
    ],
    ['bedrock-data-automation-runtime', 'InvokeDataAutomation InvokeDataAutomationAsync'],
    ['bedrock-mantle', 'CreateAgentSession StreamAgentEvents SubmitAgentEvents'],
  ])('knows what of %s costs without saying so', (service, names) => {
    const unreported = NAMED.filter(
      (operation) => operation.service === service && usageKindOf(service, operation.name) === 'unreported',
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
  ])('calls %s %s unreported', (service, operation) => {
    expect(usageKindOf(service, operation)).toBe('unreported');
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
    expect(usageKindOf(service, operation)).toBe('free');
  });
});

describe('an operation that is called metered', () => {
  const answered = new Set(
    ['json.json', 'streams.json', 'sse.json'].flatMap(loadResponses).map(({ operation }) => operation),
  );

  it.each([...METERED_OPERATIONS])('has a response that is read, in %s', (_service, names) => {
    expect([...names].filter((name) => !answered.has(name))).toEqual([]);
  });
});
