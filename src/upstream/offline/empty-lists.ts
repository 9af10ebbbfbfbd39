/**
 * The lists of an account that has nothing yet: for each operation, the member that holds the list. As the models of
 * botocore name them; operations that ask for the parts of one thing are left out, for there is no such thing. Pure.
 */
import { jsonReply, type OperationHandler } from './reply.ts';

/** Operation and member, by service. */
const LISTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  bedrock: {
    ListAdvancedPromptOptimizationJobs: 'jobSummaries',
    ListAutomatedReasoningPolicies: 'automatedReasoningPolicySummaries',
    ListCustomModelDeployments: 'modelDeploymentSummaries',
    ListCustomModels: 'modelSummaries',
    ListEnforcedGuardrailsConfiguration: 'guardrailsConfig',
    ListEvaluationJobs: 'jobSummaries',
    ListGuardrails: 'guardrails',
    ListImportedModels: 'modelSummaries',
    ListMarketplaceModelEndpoints: 'marketplaceModelEndpoints',
    ListModelCopyJobs: 'modelCopyJobSummaries',
    ListModelCustomizationJobs: 'modelCustomizationJobSummaries',
    ListModelImportJobs: 'modelImportJobSummaries',
    ListModelInvocationJobs: 'invocationJobSummaries',
    ListPromptRouters: 'promptRouterSummaries',
    ListProvisionedModelThroughputs: 'provisionedModelSummaries',
    ListTagsForResource: 'tags',
  },
  'bedrock-agent': {
    ListAgents: 'agentSummaries',
    ListFlows: 'flowSummaries',
    ListKnowledgeBases: 'knowledgeBaseSummaries',
    ListPrompts: 'promptSummaries',
  },
  'bedrock-agent-runtime': {
    ListSessions: 'sessionSummaries',
  },
  'bedrock-agentcore': {
    ListABTests: 'abTests',
    ListBatchEvaluations: 'batchEvaluations',
    ListPaymentInstruments: 'paymentInstruments',
    ListPaymentSessions: 'paymentSessions',
    ListRecommendations: 'recommendationSummaries',
  },
  'bedrock-agentcore-control': {
    ListAgentRuntimes: 'agentRuntimes',
    ListApiKeyCredentialProviders: 'credentialProviders',
    ListBrowserProfiles: 'profileSummaries',
    ListBrowsers: 'browserSummaries',
    ListCodeInterpreters: 'codeInterpreterSummaries',
    ListConfigurationBundles: 'bundles',
    ListEvaluators: 'evaluators',
    ListGateways: 'items',
    ListHarnesses: 'harnesses',
    ListMemories: 'memories',
    ListOauth2CredentialProviders: 'credentialProviders',
    ListOnlineEvaluationConfigs: 'onlineEvaluationConfigs',
    ListPaymentCredentialProviders: 'credentialProviders',
    ListPaymentManagers: 'paymentManagers',
    ListPolicyEngineSummaries: 'policyEngines',
    ListPolicyEngines: 'policyEngines',
    ListRegistries: 'registries',
    ListWorkloadIdentities: 'workloadIdentities',
  },
  'bedrock-data-automation': {
    ListBlueprints: 'blueprints',
    ListDataAutomationLibraries: 'libraries',
    ListDataAutomationProjects: 'projects',
    ListTagsForResource: 'tags',
  },
};

/** The tags of what an ARN names: a map here, where other services have a list. */
const TAG_MAPS = ['bedrock-agent', 'bedrock-agent-runtime', 'bedrock-agentcore-control'];

/** Handlers of all of them, by service and operation. */
export const EMPTY_LISTS: Readonly<Record<string, OperationHandler>> = Object.fromEntries([
  ...Object.entries(LISTS).flatMap(([service, lists]) =>
    Object.entries(lists).map(
      ([operation, member]) => [`${service}.${operation}`, () => jsonReply({ [member]: [] })] as const,
    ),
  ),
  ...TAG_MAPS.map((service) => [`${service}.ListTagsForResource`, () => jsonReply({ tags: {} })] as const),
]);
