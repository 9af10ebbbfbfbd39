/**
 * All that is known of each operation that differs from the default of `find-facts.ts`, one row an operation: service
 * by service, names of operations with equal facts in one row. Data only; read off the inputs of the AWS SDK's clients,
 * AWS's price pages and API references, with tests that fail when the clients bring operations or fields that have no
 * row here.
 */
import type { ModelFields, OperationRow, ServiceRows } from './facts.ts';

/** Tools that run at the provider may bring their own model (Anthropic's advisor, OpenAI's image generation). */
const PROVIDER_TOOLS = ['tools[].model'];
const CONVERSE_TOOLS = ['additionalModelRequestFields.tools[].model'];
const SHARED_SHAPE = ['model', ...PROVIDER_TOOLS];

const RERANKING = 'rerankingConfiguration.bedrockRerankingConfiguration.modelConfiguration.modelArn';
const HARNESS = [
  'model.bedrockModelConfig.modelId',
  'model.openAiModelConfig.modelId',
  'model.geminiModelConfig.modelId',
  'model.liteLlmModelConfig.modelId',
];
const EVALUATOR = [
  'evaluatorConfig.llmAsAJudge.modelConfig.*.modelId',
  'evaluatorConfig.derived.modelConfig.*.modelId',
];
const AGENT = ['foundationModel', 'promptOverrideConfiguration.promptConfigurations[].foundationModel'];
const INGESTION = [
  'vectorIngestionConfiguration.parsingConfiguration.bedrockFoundationModelConfiguration.modelArn',
  'vectorIngestionConfiguration.contextEnrichmentConfiguration.bedrockFoundationModelConfiguration.modelArn',
];
const KNOWLEDGE_BASE = [
  'knowledgeBaseConfiguration.vectorKnowledgeBaseConfiguration.embeddingModelArn',
  'knowledgeBaseConfiguration.managedKnowledgeBaseConfiguration.embeddingModelArn',
];
/** `*` is one of six kinds of override, and one of its two or three steps. */
const MEMORY = 'customMemoryStrategy.configuration.*.*.modelId';
const MEMORY_UPDATE = [
  `memoryStrategies.addMemoryStrategies[].${MEMORY}`,
  'memoryStrategies.modifyMemoryStrategies[].configuration.*.*.*.modelId',
];
const GATEWAY_TARGET = ['targetConfiguration.inference.provider.operations[].models[].model'];
const RAG = [
  'retrieveAndGenerateConfiguration.knowledgeBaseConfiguration.modelArn',
  ...searchIn('retrieveAndGenerateConfiguration.knowledgeBaseConfiguration.retrievalConfiguration'),
  'retrieveAndGenerateConfiguration.externalSourcesConfiguration.modelArn',
];
const INLINE_AGENT = [
  ...AGENT,
  ...searchIn('knowledgeBases[].retrievalConfiguration'),
  'collaboratorConfigurations[].agentAliasArn',
];
const AGENTIC_RETRIEVAL = [
  ...['bedrock', 'mantle'].map(
    (host) =>
      'agenticRetrieveConfiguration.foundationModelConfiguration.' +
      `${host}FoundationModelConfiguration.modelConfiguration.modelArn`,
  ),
  `agenticRetrieveConfiguration.${RERANKING}`,
];
const EVALUATED_RAG = 'inferenceConfig.ragConfigs[].knowledgeBaseConfig';
const EVALUATION_JOB = [
  'evaluationConfig.automated.evaluatorModelConfig.bedrockEvaluatorModels[].modelIdentifier',
  'evaluationConfig.automated.customMetricConfig.evaluatorModelConfig.bedrockEvaluatorModels[].modelIdentifier',
  'inferenceConfig.models[].bedrockModel.modelIdentifier',
  ...vectorSearchIn(`${EVALUATED_RAG}.retrieveConfig.knowledgeBaseRetrievalConfiguration`),
  `${EVALUATED_RAG}.retrieveAndGenerateConfig.knowledgeBaseConfiguration.modelArn`,
  ...vectorSearchIn(`${EVALUATED_RAG}.retrieveAndGenerateConfig.knowledgeBaseConfiguration.retrievalConfiguration`),
  `${EVALUATED_RAG}.retrieveAndGenerateConfig.externalSourcesConfiguration.modelArn`,
];
/** A loop is a node with nodes of its own, and AWS allows no loop within a loop. */
const FLOW = ['definition', 'definition.nodes[].configuration.loop.definition'].flatMap((definition) => [
  `${definition}.nodes[].configuration.knowledgeBase.modelId`,
  `${definition}.nodes[].configuration.knowledgeBase.${RERANKING}`,
  `${definition}.nodes[].configuration.prompt.sourceConfiguration.inline.modelId`,
  `${definition}.nodes[].configuration.prompt.sourceConfiguration.resource.promptArn`,
  `${definition}.nodes[].configuration.agent.agentAliasArn`,
]);

const NONE: ModelFields = { kind: 'none', paths: [], isOptional: true };
const UNKNOWN: ModelFields = { kind: 'unknown', paths: [], isOptional: false };
const inPath = (...paths: readonly string[]): ModelFields => ({ kind: 'path', paths, isOptional: false });
const inBody = (...paths: readonly string[]): ModelFields => ({ kind: 'body', paths, isOptional: false });
const optional = (...paths: readonly string[]): ModelFields => ({ kind: 'body', paths, isOptional: true });
const unknownWith = (...paths: readonly string[]): ModelFields => ({ kind: 'unknown', paths, isOptional: false });

/**
 * OpenAI's and Anthropic's APIs. A response of OpenAI's is stored and can be referred to, so that it is not repeatable.
 * https://docs.aws.amazon.com/bedrock/latest/userguide/inference-openai.html
 */
const CHAT: OperationRow = {
  effect: 'inference',
  usage: 'metered',
  models: inBody(...SHARED_SHAPE),
  response: 'chat',
  limits: ['max_tokens', 'max_completion_tokens'],
  serving: 'openai',
  isRepeatable: true,
};
const RESPONSE: OperationRow = {
  effect: 'inference',
  usage: 'metered',
  models: inBody(...SHARED_SHAPE),
  response: 'response',
  limits: ['max_output_tokens'],
  serving: 'openai',
};
const MESSAGE: OperationRow = {
  effect: 'inference',
  usage: 'metered',
  models: inBody(...SHARED_SHAPE),
  response: 'message',
  limits: ['max_tokens'],
  serving: 'openai',
  isRepeatable: true,
};

const CONVERSE: OperationRow = {
  effect: 'inference',
  usage: 'metered',
  models: inPath(...CONVERSE_TOOLS),
  limits: ['inferenceConfig.maxTokens'],
  serving: 'converse',
  genAi: 'chat',
  isRepeatable: true,
};
const INVOKE: OperationRow = {
  effect: 'inference',
  usage: 'metered',
  models: inPath(...PROVIDER_TOOLS),
  limits: 'provider',
  serving: 'headers',
  genAi: 'chat',
  isRepeatable: true,
};
/** What an agent does before it responds is not in its stream. */
const AGENT_CALL: OperationRow = {
  usage: 'metered',
  response: 'agentStream',
  genAi: 'invoke_agent',
};
const GUARDRAIL: OperationRow = {
  effect: 'inference',
  usage: 'metered',
  models: NONE,
  medium: 'guardrail',
};

/** A batch runs what its file says, and it says nothing of models. */
const BATCH: OperationRow = { effect: 'write', models: UNKNOWN };
const STORED: OperationRow = { effect: 'write', models: NONE };
/**
 * OpenAI's API, by paths below its `/v1`: what AWS documents, and of the rest what runs a model or changes things. The
 * paths of `bedrock-mantle`'s write actions are OpenAI's; AWS documents the actions alone.
 */
const OPENAI: ServiceRows = [
  ['ChatCompletions', { ...CHAT, routes: ['POST /chat/completions sse'] }],
  ['CreateResponse', { ...RESPONSE, routes: ['POST /responses sse'] }],
  ['CreateCompletion', { ...CHAT, limits: ['max_tokens'], routes: ['POST /completions sse'] }],
  ['CreateEmbedding', { ...CHAT, limits: [], routes: ['POST /embeddings'] }],
  [
    'CountResponseTokens',
    { effect: 'inference', models: inBody(...SHARED_SHAPE), routes: ['POST /responses/input_tokens'] },
  ],
  ['CompactResponse', { ...RESPONSE, limits: [], routes: ['POST /responses/compact'] }],
  ['ListModels', { effect: 'inference', models: NONE, routes: ['GET /models'] }],
  ['GetResponse', { models: NONE, routes: ['GET /responses/{responseId} read sse'] }],
  ['CancelResponse', { models: NONE, routes: ['POST /responses/{responseId}/cancel'] }],
  ['DeleteResponse', { ...STORED, routes: ['DELETE /responses/{responseId}'] }],
  ['UpdateChatCompletion', { ...STORED, routes: ['POST /chat/completions/{completionId}'] }],
  ['DeleteChatCompletion', { ...STORED, routes: ['DELETE /chat/completions/{completionId}'] }],
  ['CreateFile', { ...STORED, routes: ['POST /files'] }],
  ['DeleteFile', { ...STORED, routes: ['DELETE /files/{fileId}'] }],
  ['CreateBatch', { ...BATCH, routes: ['POST /batches'] }],
  ['CancelBatch', { ...STORED, routes: ['POST /batches/{batchId}/cancel'] }],
  ['CreateFineTuningJob', { effect: 'write', models: inBody('model'), routes: ['POST /fine_tuning/jobs'] }],
  ['CancelFineTuningJob', { ...STORED, routes: ['POST /fine_tuning/jobs/{jobId}/cancel'] }],
  ['DeleteModel', { ...STORED, routes: ['DELETE /models/{model}'] }],
  ['CreateVectorStore', { ...STORED, routes: ['POST /vector_stores'] }],
  ['UpdateVectorStore', { ...STORED, routes: ['POST /vector_stores/{vectorStoreId}'] }],
  ['DeleteVectorStore', { ...STORED, routes: ['DELETE /vector_stores/{vectorStoreId}'] }],
  ['CreateProject', { ...STORED, routes: ['POST /organization/projects'] }],
  ['UpdateProject', { ...STORED, routes: ['POST /organization/projects/{projectId}'] }],
  ['ArchiveProject', { ...STORED, routes: ['POST /organization/projects/{projectId}/archive'] }],
];

const RUNTIME: ServiceRows = [
  ['Converse', { ...CONVERSE, response: 'converse' }],
  ['ConverseStream', { ...CONVERSE, response: 'converseStream' }],
  ['InvokeModel', { ...INVOKE, response: 'invoke', media: 'body' }],
  ['InvokeModelWithResponseStream', { ...INVOKE, response: 'invokeStream', media: 'body' }],
  [
    'InvokeModelWithBidirectionalStream',
    // What its events say cannot be known before they are sent.
    { ...INVOKE, models: inPath(), response: 'bidirectionalStream', medium: 'speech', isRepeatable: false },
  ],
  ['ApplyGuardrail', { ...GUARDRAIL, response: 'guardrail' }],
  ['InvokeGuardrailChecks', { ...GUARDRAIL, response: 'guardrailChecks' }],
  ['CountTokens', { effect: 'inference', models: inPath(), isRepeatable: true }],
  // What it costs stands in the request alone, as for a reranking.
  ['StartAsyncInvoke', { usage: 'metered', models: inBody('modelId'), response: 'invoke', media: 'modelInput' }],
  ['ListAsyncInvokes GetAsyncInvoke', { models: NONE }],
  ...openaiRows('/openai/v1'),
  ['CreateMessage', { ...MESSAGE, routes: ['POST /anthropic/v1/messages sse'] }],
  ['CreateMessageBatch', { ...BATCH, routes: ['POST /anthropic/v1/messages/batches'] }],
  ['-', { routes: ['* /openai/{rest+} sse', '* /anthropic/{rest+} sse'] }],
];

const MANTLE: ServiceRows = [
  ...openaiRows('/openai/v1', '/v1'),
  ['CreateMessage', { ...MESSAGE, routes: ['POST /anthropic/v1/messages sse'] }],
  ['CreateMessageBatch', { ...BATCH, routes: ['POST /anthropic/v1/messages/batches'] }],
  [
    'CountMessageTokens',
    {
      effect: 'inference',
      models: inBody(...SHARED_SHAPE),
      isRepeatable: true,
      routes: ['POST /anthropic/v1/messages/count_tokens'],
    },
  ],
  ['ListAgentSessions', { models: NONE, routes: ['GET /openai/v1/agents/sessions read'] }],
  ['CreateAgentSession', { models: unknownWith(...SHARED_SHAPE), routes: ['POST /openai/v1/agents/sessions'] }],
  ['GetAgentSession', { models: NONE, routes: ['GET /openai/v1/agents/sessions/{sessionId} read'] }],
  ['DeleteAgentSession', { effect: 'write', models: NONE, routes: ['DELETE /openai/v1/agents/sessions/{sessionId}'] }],
  ['StreamAgentEvents', { models: NONE, routes: ['GET /openai/v1/agents/sessions/{sessionId}/events read sse'] }],
  [
    'SubmitAgentEvents',
    { models: unknownWith(...SHARED_SHAPE), routes: ['POST /openai/v1/agents/sessions/{sessionId}/events'] },
  ],
  ['ListAgentItems', { models: NONE, routes: ['GET /openai/v1/agents/sessions/{sessionId}/items read'] }],
  [
    '-',
    {
      routes: [
        '* /openai/{rest+} sse',
        '* /anthropic/{rest+} sse',
        '* /openai/v1/agents/sessions/{rest+} sse',
        '* /v1/{rest+} sse',
      ],
    },
  ],
];

const AGENT_RUNTIME: ServiceRows = [
  [
    'InvokeAgent',
    {
      ...AGENT_CALL,
      models: unknownWith(...searchIn('sessionState.knowledgeBaseConfigurations[].retrievalConfiguration')),
    },
  ],
  [
    'InvokeInlineAgent',
    // What a collaborator has of its own. They do not nest.
    { ...AGENT_CALL, models: inBody(...INLINE_AGENT, ...INLINE_AGENT.map((path) => `collaborators[].${path}`)) },
  ],
  // Without a model of its own it runs one of AWS's choice.
  ['AgenticRetrieveStream', { models: unknownWith(...AGENTIC_RETRIEVAL) }],
  ['OptimizePrompt', { models: inBody('targetModelId') }],
  [
    'Rerank',
    { effect: 'inference', usage: 'metered', models: inBody(RERANKING), response: 'invoke', media: 'reranking' },
  ],
  ['RetrieveAndGenerate RetrieveAndGenerateStream', { models: inBody(...RAG) }],
  ['Retrieve', { models: optional(...searchIn('retrievalConfiguration')) }],
  ['InvokeFlow StartFlowExecution GenerateQuery', { models: UNKNOWN }],
  ['EndSession', { usage: 'free', models: NONE }],
  [
    `DeleteAgentMemory GetAgentMemory GetFlowExecution ListFlowExecutionEvents GetExecutionFlowSnapshot
    StopFlowExecution ListFlowExecutions CheckIngestedDocumentAcl GetDocumentContent GetIngestedDocumentAcl
    ListSessions CreateSession DeleteSession GetSession UpdateSession ListInvocationSteps PutInvocationStep
    GetInvocationStep ListInvocations CreateInvocation ListTagsForResource`,
    { models: NONE },
  ],
  ['TagResource UntagResource', { effect: 'write', models: NONE }],
];

const AGENTCORE: ServiceRows = [
  // Agents, and the shells beside them, call models with the role of the runtime.
  ['InvokeAgentRuntime', { models: UNKNOWN, genAi: 'invoke_agent' }],
  ['InvokeAgentRuntimeSubpath', { models: UNKNOWN, routes: ['* /runtimes/{agentRuntimeArn}/invocations/{rest+} sse'] }],
  [
    'InvokeAgentRuntimeWithWebSocketStream',
    { models: UNKNOWN, routes: ['GET /runtimes/{agentRuntimeArn}/ws websocket'] },
  ],
  ['InvokeAgentRuntimeShell', { models: UNKNOWN, routes: ['GET /runtimes/{agentRuntimeArn}/ws/shells websocket'] }],
  [
    `InvokeAgentRuntimeCommand Evaluate StartBatchEvaluation StartRecommendation StartMemoryExtractionJob
    CreateABTest UpdateABTest`,
    { models: UNKNOWN },
  ],
  ['InvokeHarness', { models: unknownWith(...HARNESS) }],
  [
    'ConnectBrowserAutomationStream',
    {
      models: NONE,
      routes: ['GET /browser-streams/{browserIdentifier}/sessions/{sessionId}/automation websocket'],
    },
  ],
  [
    'ConnectBrowserLiveViewStream',
    { models: NONE, routes: ['GET /browser-streams/{browserIdentifier}/sessions/{sessionId}/live-view sse'] },
  ],
  ['UpdateBrowserStream', { usage: 'free', models: NONE }],
  // Their names look free: tokens of AgentCore's Identity, reads of its Memory.
  [
    `GetResourceApiKey GetResourceOauth2Token GetResourcePaymentToken GetWorkloadAccessToken
    GetWorkloadAccessTokenForJWT GetWorkloadAccessTokenForUserId`,
    { effect: 'secret', usage: 'unreported', models: NONE },
  ],
  ['GetMemoryRecord ListEvents ListMemoryRecords', { usage: 'unreported', models: NONE }],
  // A memory may work through its events later, with the models its owner gave it; the caller gets nothing of that.
  [
    `ListABTests DeleteABTest GetABTest SaveBrowserSessionProfile GetBrowserSession InvokeBrowser ListBrowserSessions
    StartBrowserSession StopBrowserSession DeleteCapacityProviderSession GetCodeInterpreterSession
    ListCodeInterpreterSessions StartCodeInterpreterSession StopCodeInterpreterSession InvokeCodeInterpreter
    ListBatchEvaluations DeleteBatchEvaluation GetBatchEvaluation StopBatchEvaluation CompleteResourceTokenAuth
    ListSessions DeleteEvent GetEvent ListActors CreateEvent ListMemoryExtractionJobs IngestData
    BatchCreateMemoryRecords BatchDeleteMemoryRecords BatchUpdateMemoryRecords DeleteMemoryRecord
    RetrieveMemoryRecords CreatePaymentInstrument CreatePaymentSession DeletePaymentInstrument DeletePaymentSession
    GetPaymentInstrument GetPaymentInstrumentBalance GetPaymentSession ListPaymentInstruments ListPaymentSessions
    ProcessPayment ListRecommendations DeleteRecommendation GetRecommendation SearchRegistryRecords GetAgentCard
    StopRuntimeSession`,
    { models: NONE },
  ],
];

const DATA_AUTOMATION_RUNTIME: ServiceRows = [
  ['InvokeDataAutomation InvokeDataAutomationAsync', { models: UNKNOWN }],
  ['GetDataAutomationStatus ListTagsForResource', { models: NONE }],
  ['TagResource UntagResource', { effect: 'write', models: NONE }],
];

/**
 * Of control planes only what costs, or is free although its name does not say so, and what runs, buys or chooses a
 * model.
 */
const CONTROL: ServiceRows = [
  ['CreateAdvancedPromptOptimizationJob', { models: inBody('modelConfigurations[].modelId') }],
  ['CreateCustomModelDeployment UpdateCustomModelDeployment', { models: inBody('modelArn') }],
  ['CreateEvaluationJob', { models: inBody(...EVALUATION_JOB) }],
  ['CreateFoundationModelAgreement CreateModelInvocationJob', { models: inBody('modelId') }],
  ['CreateProvisionedModelThroughput', { models: inBody('modelId') }],
  ['UpdateProvisionedModelThroughput', { models: optional('desiredModelId') }],
  ['CreateInferenceProfile', { usage: 'free', models: inBody('modelSource.copyFrom') }],
  ['CreateMarketplaceModelEndpoint RegisterMarketplaceModelEndpoint', { models: inBody('modelSourceIdentifier') }],
  ['CreateModelCopyJob', { models: inBody('sourceModelArn') }],
  [
    'CreateModelCustomizationJob',
    {
      models: inBody(
        'baseModelIdentifier',
        'customizationConfig.distillationConfig.teacherModelConfig.teacherModelIdentifier',
      ),
    },
  ],
  ['CreatePromptRouter', { usage: 'free', models: inBody('models[].modelArn', 'fallbackModel.modelArn') }],
  ['StartAutomatedReasoningPolicyTestWorkflow StartAutomatedReasoningPolicyBuildWorkflow', { models: UNKNOWN }],
  [
    `CreateGuardrail CreateGuardrailVersion PutAccountDataRetention PutEnforcedGuardrailConfiguration
    PutModelInvocationLoggingConfiguration PutResourcePolicy PutUseCaseForModelAccess UpdateGuardrail`,
    { usage: 'free' },
  ],
];

const AGENT_CONTROL: ServiceRows = [
  ['CreateAgent UpdateAgent', { usage: 'free', models: inBody(...AGENT) }],
  [
    'CreateAgentAlias UpdateAgentAlias',
    { usage: 'free', models: optional('routingConfiguration[].provisionedThroughput') },
  ],
  ['CreateDataSource UpdateDataSource', { models: optional(...INGESTION) }],
  ['CreateFlow UpdateFlow ValidateFlowDefinition', { usage: 'free', models: optional(...FLOW) }],
  [
    'AssociateAgentCollaborator UpdateAgentCollaborator',
    { usage: 'free', models: optional('agentDescriptor.aliasArn') },
  ],
  ['CreateKnowledgeBase UpdateKnowledgeBase', { models: optional(...KNOWLEDGE_BASE) }],
  [
    'CreatePrompt UpdatePrompt',
    { usage: 'free', models: optional('variants[].modelId', 'variants[].genAiResource.agent.agentIdentifier') },
  ],
  ['StartIngestionJob IngestKnowledgeBaseDocuments', { models: UNKNOWN }],
  [
    `AssociateAgentKnowledgeBase CreateAgentActionGroup CreateFlowAlias CreateFlowVersion CreatePromptVersion
    PrepareAgent PrepareFlow PutResourcePolicy UpdateAgentActionGroup UpdateAgentKnowledgeBase UpdateFlowAlias`,
    { usage: 'free' },
  ],
  // In botocore's model, not yet in @aws-sdk/client-bedrock-agent 3.1138. A test fails when the rows can go.
  ['ListVpcConfigurations', { routes: ['GET /knowledgebases/{knowledgeBaseId}/vpcconfigurations/ read'] }],
  ['CreateVpcConfiguration', { routes: ['POST /knowledgebases/{knowledgeBaseId}/vpcconfigurations/'] }],
  [
    'DeleteVpcConfiguration',
    { routes: ['DELETE /knowledgebases/{knowledgeBaseId}/vpcconfigurations/{vpcConfigurationId}'] },
  ],
  [
    'GetVpcConfiguration',
    { routes: ['GET /knowledgebases/{knowledgeBaseId}/vpcconfigurations/{vpcConfigurationId} read'] },
  ],
];

const AGENTCORE_CONTROL: ServiceRows = [
  ['CreateEvaluator UpdateEvaluator', { models: optional(...EVALUATOR) }],
  ['CreateGatewayTarget UpdateGatewayTarget', { models: optional(...GATEWAY_TARGET) }],
  ['CreateMemory', { models: optional(`memoryStrategies[].${MEMORY}`) }],
  ['UpdateMemory', { models: optional(...MEMORY_UPDATE) }],
  ['CreateHarness UpdateHarness', { models: optional(...HARNESS) }],
  ['StartPolicyGeneration CreateOnlineEvaluationConfig UpdateOnlineEvaluationConfig', { models: UNKNOWN }],
  [
    `CreateAgentRuntime CreateAgentRuntimeEndpoint CreateBrowser CreateCodeInterpreter CreateWorkloadIdentity
    PutResourcePolicy UpdateAgentRuntime UpdateAgentRuntimeEndpoint UpdateWorkloadIdentity`,
    { usage: 'free' },
  ],
];

const DATA_AUTOMATION: ServiceRows = [
  ['InvokeDataAutomationLibraryIngestionJob InvokeBlueprintOptimizationAsync', { models: UNKNOWN }],
  [
    `CopyBlueprintStage CreateBlueprint CreateBlueprintVersion CreateDataAutomationProject UpdateBlueprint
    UpdateDataAutomationProject`,
    { usage: 'free' },
  ],
];

/** By service. A service that is not here has no rows. */
export const ROWS = {
  'bedrock-runtime': RUNTIME,
  'bedrock-mantle': MANTLE,
  'bedrock-agent-runtime': AGENT_RUNTIME,
  'bedrock-agentcore': AGENTCORE,
  'bedrock-data-automation-runtime': DATA_AUTOMATION_RUNTIME,
  bedrock: CONTROL,
  'bedrock-agent': AGENT_CONTROL,
  'bedrock-agentcore-control': AGENTCORE_CONTROL,
  'bedrock-data-automation': DATA_AUTOMATION,
} as const satisfies Readonly<Record<string, ServiceRows>>;

/** `OPENAI` below these paths. */
function openaiRows(...prefixes: readonly string[]): ServiceRows {
  return OPENAI.map(([name, { routes = [], ...row }]) => [
    name,
    { ...row, routes: routes.flatMap((route) => prefixes.map((prefix) => route.replace(' ', ` ${prefix}`))) },
  ]);
}

/** A search in a knowledge base may name a model for reranking and one that works out filters. */
function searchIn(prefix: string): string[] {
  return [...vectorSearchIn(prefix), `${prefix}.managedSearchConfiguration.${RERANKING}`];
}

function vectorSearchIn(prefix: string): string[] {
  const search = `${prefix}.vectorSearchConfiguration`;
  return [`${search}.${RERANKING}`, `${search}.implicitFilterConfiguration.modelArn`];
}
