/**
 * Which members of a request AWS's clients take as bytes, and JSON has in base64: by operation, as paths like
 * `content[].image.source.bytes`; `*` is any member. Data only, read off the inputs of the AWS SDK's clients; a test
 * compares them.
 */

const CONTENT: readonly string[] = [
  'image.source.bytes',
  'document.source.bytes',
  'video.source.bytes',
  'audio.source.bytes',
  'toolResult.content[].image.source.bytes',
  'toolResult.content[].document.source.bytes',
  'toolResult.content[].video.source.bytes',
  'guardContent.image.source.bytes',
  'reasoningContent.redactedContent',
];
const CONVERSE: readonly string[] = [
  ...CONTENT.map((path) => `messages[].content[].${path}`),
  'system[].guardContent.image.source.bytes',
];
const SESSION: readonly string[] = [
  'returnControlInvocationResults[].apiResult.responseBody.*.images[].source.bytes',
  'returnControlInvocationResults[].functionResult.responseBody.*.images[].source.bytes',
  'files[].source.byteContent.data',
];
const SOURCES = 'externalSourcesConfiguration.sources[].byteContent.data';
const WORKFLOW = 'sourceContent.workflowContent';

/** By name of the operation; no two services have such operations of one name. */
export const BLOB_FIELDS: Readonly<Record<string, readonly string[]>> = {
  CreateEvaluationJob: [`inferenceConfig.ragConfigs[].knowledgeBaseConfig.retrieveAndGenerateConfig.${SOURCES}`],
  PutUseCaseForModelAccess: ['formData'],
  StartAutomatedReasoningPolicyBuildWorkflow: [
    `${WORKFLOW}.documents[].document`,
    `${WORKFLOW}.generateFidelityReportContent.documents[].document`,
    `${WORKFLOW}.iterativeRefinementContent.documents[].document`,
  ],
  ApplyGuardrail: ['content[].image.source.bytes'],
  Converse: CONVERSE,
  ConverseStream: CONVERSE,
  CountTokens: ['input.invokeModel.body', ...CONVERSE.map((path) => `input.converse.${path}`)],
  IngestKnowledgeBaseDocuments: ['documents[].content.custom.inlineContent.byteContent.data'],
  InvokeAgent: SESSION.map((path) => `sessionState.${path}`),
  InvokeInlineAgent: SESSION.map((path) => `inlineSessionState.${path}`),
  PutInvocationStep: ['payload.contentBlocks[].image.source.bytes'],
  Retrieve: ['retrievalQuery.image.inlineContent'],
  RetrieveAndGenerate: [`retrieveAndGenerateConfiguration.${SOURCES}`],
  RetrieveAndGenerateStream: [`retrieveAndGenerateConfiguration.${SOURCES}`],
  InvokeCodeInterpreter: ['arguments.content[].blob'],
  InvokeHarness: ['messages[].content[].reasoningContent.redactedContent'],
  InvokeDataAutomation: ['inputConfiguration.bytes'],
};

/** Operations whose whole body is bytes of the caller's: the member that AWS's clients take them in. */
export const PAYLOAD_FIELDS: Readonly<Record<string, string>> = {
  InvokeModel: 'body',
  InvokeModelWithResponseStream: 'body',
  InvokeAgentRuntime: 'payload',
};
