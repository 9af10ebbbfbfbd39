/**
 * Where a request says which model will run: for each operation the places in its path or body, or that it does not say.
 * Data, and one look-up; read off the inputs of the AWS SDK's clients, with a test that tells when they name more. Whether
 * a model is allowed is not decided here.
 */

/**
 * `path`: the model is in the URL, and the body may name further ones. `body`: in the body. `none`: no model runs that a key
 * could be limited to: nothing runs, or only what AWS does besides (a guardrail's classifiers, the embedding of a search).
 * `unknown`: what the caller gets, or a job that it starts, is made by a model that the request does not name (a stored
 * agent's or flow's, or one that AWS chooses); the body may still name some.
 */
export type ModelFieldKind = 'path' | 'body' | 'none' | 'unknown';

export interface ModelField {
  readonly kind: ModelFieldKind;
  /** Paths in the request's body, as `JsonPaths` reads them. An agent that is handed the work counts as a model's name. */
  readonly paths: readonly string[];
  /** A body that names no model is complete, and runs none that the caller chose. Otherwise it is not to be trusted. */
  readonly isOptional: boolean;
}

interface ServiceTable {
  /** Names of operations, separated by white space. */
  readonly none?: string;
  readonly unknown?: string;
  /** With the paths that are named all the same. */
  readonly unknownWith?: Readonly<Record<string, readonly string[]>>;
  readonly path?: Readonly<Record<string, readonly string[]>>;
  readonly body?: Readonly<Record<string, readonly string[]>>;
  readonly optional?: Readonly<Record<string, readonly string[]>>;
}

/** Tools that run at the provider may bring their own model (Anthropic's advisor, OpenAI's image generation). */
const PROVIDER_TOOLS = ['tools[].model'];
const CONVERSE = ['additionalModelRequestFields.tools[].model'];
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
  'agenticRetrieveConfiguration.foundationModelConfiguration.bedrockFoundationModelConfiguration.modelConfiguration.modelArn',
  'agenticRetrieveConfiguration.foundationModelConfiguration.mantleFoundationModelConfiguration.modelConfiguration.modelArn',
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

const TABLES: Readonly<Record<string, ServiceTable>> = {
  'bedrock-runtime': {
    path: {
      Converse: CONVERSE,
      ConverseStream: CONVERSE,
      CountTokens: [],
      InvokeModel: PROVIDER_TOOLS,
      InvokeModelWithResponseStream: PROVIDER_TOOLS,
      // What its events say cannot be known before they are sent.
      InvokeModelWithBidirectionalStream: [],
    },
    body: {
      StartAsyncInvoke: ['modelId'],
      ChatCompletions: SHARED_SHAPE,
      CreateResponse: SHARED_SHAPE,
      CreateMessage: SHARED_SHAPE,
    },
    none: 'ListAsyncInvokes GetAsyncInvoke InvokeGuardrailChecks ApplyGuardrail ListModels',
  },
  'bedrock-mantle': {
    body: {
      ChatCompletions: SHARED_SHAPE,
      CreateResponse: SHARED_SHAPE,
      CreateMessage: SHARED_SHAPE,
      CountMessageTokens: SHARED_SHAPE,
    },
    unknownWith: { CreateAgentSession: SHARED_SHAPE, SubmitAgentEvents: SHARED_SHAPE },
    none: `ListModels GetResponse DeleteResponse CancelResponse ListAgentSessions GetAgentSession DeleteAgentSession
      StreamAgentEvents ListAgentItems`,
  },
  'bedrock-agent-runtime': {
    body: {
      InvokeInlineAgent: [
        ...INLINE_AGENT,
        // What a collaborator has of its own. They do not nest.
        ...INLINE_AGENT.map((path) => `collaborators[].${path}`),
      ],
      OptimizePrompt: ['targetModelId'],
      Rerank: [RERANKING],
      RetrieveAndGenerate: RAG,
      RetrieveAndGenerateStream: RAG,
    },
    optional: { Retrieve: searchIn('retrievalConfiguration') },
    unknown: 'InvokeFlow StartFlowExecution GenerateQuery',
    unknownWith: {
      InvokeAgent: searchIn('sessionState.knowledgeBaseConfigurations[].retrievalConfiguration'),
      // Without a model of its own it runs one of AWS's choice.
      AgenticRetrieveStream: AGENTIC_RETRIEVAL,
    },
    none: `DeleteAgentMemory GetAgentMemory GetFlowExecution ListFlowExecutionEvents GetExecutionFlowSnapshot
      StopFlowExecution ListFlowExecutions CheckIngestedDocumentAcl GetDocumentContent GetIngestedDocumentAcl ListSessions
      CreateSession EndSession DeleteSession GetSession UpdateSession ListInvocationSteps PutInvocationStep
      GetInvocationStep ListInvocations CreateInvocation UntagResource ListTagsForResource TagResource`,
  },
  'bedrock-agentcore': {
    // Agents, and the shells beside them, call models with the role of the runtime.
    unknown: `InvokeAgentRuntime InvokeAgentRuntimeCommand InvokeAgentRuntimeSubpath InvokeAgentRuntimeShell
      InvokeAgentRuntimeWithWebSocketStream Evaluate StartBatchEvaluation StartRecommendation StartMemoryExtractionJob
      CreateABTest UpdateABTest`,
    unknownWith: { InvokeHarness: HARNESS },
    // A memory may work through its events later, with the models its owner gave it; the caller gets nothing of that.
    none: `ListABTests DeleteABTest GetABTest SaveBrowserSessionProfile GetBrowserSession InvokeBrowser
      ListBrowserSessions StartBrowserSession StopBrowserSession UpdateBrowserStream DeleteCapacityProviderSession
      GetCodeInterpreterSession ListCodeInterpreterSessions StartCodeInterpreterSession StopCodeInterpreterSession
      InvokeCodeInterpreter ListBatchEvaluations DeleteBatchEvaluation GetBatchEvaluation StopBatchEvaluation
      CompleteResourceTokenAuth GetWorkloadAccessToken GetWorkloadAccessTokenForJWT GetWorkloadAccessTokenForUserId
      GetResourceApiKey GetResourceOauth2Token GetResourcePaymentToken ListSessions ListEvents DeleteEvent GetEvent
      ListActors CreateEvent ListMemoryExtractionJobs IngestData GetMemoryRecord ListMemoryRecords
      BatchCreateMemoryRecords BatchDeleteMemoryRecords BatchUpdateMemoryRecords DeleteMemoryRecord RetrieveMemoryRecords
      CreatePaymentInstrument CreatePaymentSession DeletePaymentInstrument DeletePaymentSession GetPaymentInstrument
      GetPaymentInstrumentBalance GetPaymentSession ListPaymentInstruments ListPaymentSessions ProcessPayment
      ListRecommendations DeleteRecommendation GetRecommendation SearchRegistryRecords GetAgentCard StopRuntimeSession
      ConnectBrowserAutomationStream ConnectBrowserLiveViewStream`,
  },
  'bedrock-data-automation-runtime': {
    unknown: 'InvokeDataAutomation InvokeDataAutomationAsync',
    none: 'GetDataAutomationStatus ListTagsForResource TagResource UntagResource',
  },
  // The control plane: only what runs or buys a model, or decides which one will run. All else is `none`.
  bedrock: {
    body: {
      CreateAdvancedPromptOptimizationJob: ['modelConfigurations[].modelId'],
      CreateCustomModelDeployment: ['modelArn'],
      CreateEvaluationJob: EVALUATION_JOB,
      CreateFoundationModelAgreement: ['modelId'],
      CreateInferenceProfile: ['modelSource.copyFrom'],
      CreateMarketplaceModelEndpoint: ['modelSourceIdentifier'],
      CreateModelCopyJob: ['sourceModelArn'],
      CreateModelCustomizationJob: [
        'baseModelIdentifier',
        'customizationConfig.distillationConfig.teacherModelConfig.teacherModelIdentifier',
      ],
      CreateModelInvocationJob: ['modelId'],
      CreatePromptRouter: ['models[].modelArn', 'fallbackModel.modelArn'],
      CreateProvisionedModelThroughput: ['modelId'],
      RegisterMarketplaceModelEndpoint: ['modelSourceIdentifier'],
      UpdateCustomModelDeployment: ['modelArn'],
    },
    optional: { UpdateProvisionedModelThroughput: ['desiredModelId'] },
    unknown: 'StartAutomatedReasoningPolicyTestWorkflow StartAutomatedReasoningPolicyBuildWorkflow',
  },
  'bedrock-agent': {
    body: { CreateAgent: AGENT, UpdateAgent: AGENT },
    optional: {
      CreateAgentAlias: ['routingConfiguration[].provisionedThroughput'],
      UpdateAgentAlias: ['routingConfiguration[].provisionedThroughput'],
      CreateDataSource: INGESTION,
      UpdateDataSource: INGESTION,
      CreateFlow: FLOW,
      UpdateFlow: FLOW,
      ValidateFlowDefinition: FLOW,
      AssociateAgentCollaborator: ['agentDescriptor.aliasArn'],
      UpdateAgentCollaborator: ['agentDescriptor.aliasArn'],
      CreateKnowledgeBase: KNOWLEDGE_BASE,
      UpdateKnowledgeBase: KNOWLEDGE_BASE,
      CreatePrompt: ['variants[].modelId', 'variants[].genAiResource.agent.agentIdentifier'],
      UpdatePrompt: ['variants[].modelId', 'variants[].genAiResource.agent.agentIdentifier'],
    },
    unknown: 'StartIngestionJob IngestKnowledgeBaseDocuments',
  },
  'bedrock-agentcore-control': {
    optional: {
      CreateEvaluator: EVALUATOR,
      UpdateEvaluator: EVALUATOR,
      CreateGatewayTarget: GATEWAY_TARGET,
      UpdateGatewayTarget: GATEWAY_TARGET,
      CreateMemory: [`memoryStrategies[].${MEMORY}`],
      UpdateMemory: MEMORY_UPDATE,
      CreateHarness: HARNESS,
      UpdateHarness: HARNESS,
    },
    unknown: 'StartPolicyGeneration CreateOnlineEvaluationConfig UpdateOnlineEvaluationConfig',
  },
  'bedrock-data-automation': {
    unknown: 'InvokeDataAutomationLibraryIngestionJob InvokeBlueprintOptimizationAsync',
  },
};

const NONE: ModelField = { kind: 'none', paths: [], isOptional: true };
const UNKNOWN: ModelField = { kind: 'unknown', paths: [], isOptional: false };
const MANUAL_OPERATIONS: ModelField = { kind: 'unknown', paths: SHARED_SHAPE, isOptional: false };
const MANUAL_WITH_PATH: ModelField = { kind: 'path', paths: PROVIDER_TOOLS, isOptional: false };
const CONTROL_PLANES = ['bedrock', 'bedrock-agent', 'bedrock-agentcore-control', 'bedrock-data-automation'];

/** Every entry, by service and operation with a space between. */
export const MODEL_FIELDS: ReadonlyMap<string, ModelField> = new Map(
  Object.entries(TABLES).flatMap(([service, table]) => [...readTable(service, table)]),
);

/**
 * Where the model of a request is named. An operation that nobody knows counts as `unknown`, or as `path` where its URL
 * names a model (`pathModel`: bedrock-runtime's `/model/{id}/…`); so does one of the data plane that is not in the table.
 */
export function findModelField(service: string, operation: string | undefined, pathModel?: string): ModelField {
  const place = operation === undefined ? undefined : MODEL_FIELDS.get(`${service} ${operation}`);
  if (place !== undefined) return place;
  if (operation !== undefined && CONTROL_PLANES.includes(service)) return NONE;
  return pathModel === undefined ? MANUAL_OPERATIONS : MANUAL_WITH_PATH;
}

function* readTable(service: string, table: ServiceTable): Generator<[string, ModelField]> {
  const key = (operation: string): string => `${service} ${operation}`;
  for (const operation of names(table.none)) yield [key(operation), NONE];
  for (const operation of names(table.unknown)) yield [key(operation), UNKNOWN];
  for (const kind of ['path', 'body', 'optional', 'unknownWith'] as const) {
    for (const [operation, paths] of Object.entries(table[kind] ?? {})) {
      if (kind === 'optional') yield [key(operation), { kind: 'body', paths, isOptional: true }];
      else yield [key(operation), { kind: kind === 'unknownWith' ? 'unknown' : kind, paths, isOptional: false }];
    }
  }
}

function names(list: string | undefined): string[] {
  return list?.split(/\s+/) ?? [];
}

/** A search in a knowledge base may name a model for reranking and one that works out filters. */
function searchIn(place: string): string[] {
  return [...vectorSearchIn(place), `${place}.managedSearchConfiguration.${RERANKING}`];
}

function vectorSearchIn(place: string): string[] {
  const search = `${place}.vectorSearchConfiguration`;
  return [`${search}.${RERANKING}`, `${search}.implicitFilterConfiguration.modelArn`];
}
