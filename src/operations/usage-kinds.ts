/**
 * Which operations cost money, and which of them say how much they used. Data, by AWS's names of operations. What is not
 * known to be free counts as costing something, so that a new operation does not look free because nobody has read of it.
 */

/**
 * `metered`: the response says what was used (an agent's, if its trace was asked for). `free`: costs nothing. `unreported`: it
 * costs, at once or by what it sets up, or nobody knows; the response does not say what.
 */
export type UsageKind = 'metered' | 'free' | 'unreported';

/** Operations whose responses `tap` reads, by service. */
export const METERED_OPERATIONS: ReadonlyMap<string, ReadonlySet<string>> = tableOf({
  'bedrock-runtime': `
    ApplyGuardrail ChatCompletions Converse ConverseStream CreateMessage CreateResponse InvokeGuardrailChecks InvokeModel
    InvokeModelWithBidirectionalStream InvokeModelWithResponseStream`,
  'bedrock-mantle': 'ChatCompletions CreateMessage CreateResponse',
  'bedrock-agent-runtime': 'InvokeAgent InvokeInlineAgent',
});

/** Operations that begin with one of these words cost nothing, apart from `COSTLY_OPERATIONS`. */
const FREE_WORDS =
  /^(?:BatchDelete|BatchGet|Cancel|CheckIngested|Count|Delete|Deregister|Disassociate|Export|Get|List|Stop|Tag|Untag|Validate)(?=[A-Z])/;

/** Operations that cost, or may, although their names do not look so: tokens of AgentCore's Identity, reads of its Memory. */
export const COSTLY_OPERATIONS: ReadonlyMap<string, ReadonlySet<string>> = tableOf({
  'bedrock-agentcore': `
    GetMemoryRecord GetResourceApiKey GetResourceOauth2Token GetResourcePaymentToken GetWorkloadAccessToken
    GetWorkloadAccessTokenForJWT GetWorkloadAccessTokenForUserId ListEvents ListMemoryRecords`,
});

/** Operations that cost nothing, whatever their names begin with: definitions, which cost when something uses them. */
export const FREE_OPERATIONS: ReadonlyMap<string, ReadonlySet<string>> = tableOf({
  bedrock: `
    CreateGuardrail CreateGuardrailVersion CreateInferenceProfile CreatePromptRouter PutAccountDataRetention
    PutEnforcedGuardrailConfiguration PutModelInvocationLoggingConfiguration PutResourcePolicy PutUseCaseForModelAccess
    UpdateGuardrail`,
  'bedrock-agent': `
    AssociateAgentCollaborator AssociateAgentKnowledgeBase CreateAgent CreateAgentActionGroup CreateAgentAlias CreateFlow
    CreateFlowAlias CreateFlowVersion CreatePrompt CreatePromptVersion PrepareAgent PrepareFlow PutResourcePolicy UpdateAgent
    UpdateAgentActionGroup UpdateAgentAlias UpdateAgentCollaborator UpdateAgentKnowledgeBase UpdateFlow UpdateFlowAlias
    UpdatePrompt`,
  'bedrock-agent-runtime': 'EndSession',
  'bedrock-agentcore': 'UpdateBrowserStream',
  'bedrock-agentcore-control': `
    CreateAgentRuntime CreateAgentRuntimeEndpoint CreateBrowser CreateCodeInterpreter CreateWorkloadIdentity
    PutResourcePolicy UpdateAgentRuntime UpdateAgentRuntimeEndpoint UpdateWorkloadIdentity`,
  'bedrock-data-automation': `
    CopyBlueprintStage CreateBlueprint CreateBlueprintVersion CreateDataAutomationProject UpdateBlueprint
    UpdateDataAutomationProject`,
});

/** What a response to this operation tells of its cost. An operation that is not known is `unreported`. */
export function usageKindOf(service: string, operation: string | undefined): UsageKind {
  if (operation === undefined) return 'unreported';
  if (METERED_OPERATIONS.get(service)?.has(operation) === true) return 'metered';
  if (COSTLY_OPERATIONS.get(service)?.has(operation) === true) return 'unreported';
  const isFree = FREE_WORDS.test(operation) || FREE_OPERATIONS.get(service)?.has(operation) === true;
  return isFree ? 'free' : 'unreported';
}

function tableOf(table: Readonly<Record<string, string>>): ReadonlyMap<string, ReadonlySet<string>> {
  return new Map(Object.entries(table).map(([service, names]) => [service, new Set(names.trim().split(/\s+/))]));
}
