/**
 * Retrieve, RetrieveAndGenerate and InvokeAgent of the offline Bedrock: a knowledge base that has a document for every
 * question, and an agent that repeats its input. Pure.
 */
import { eventFrame } from './frames.ts';
import { asCount, asObject, asText, parseJsonObject } from '../../lib/json.ts';
import { ACCOUNT_ID } from './models.ts';
import { jsonReply, serializationError, streamReply, validationError, type OfflineCall, type Reply } from './reply.ts';
import { countTokens, splitTokens, stableUuid } from './tokens.ts';

const SHORT_ID = /^[0-9a-zA-Z]{10}$/;
const KNOWLEDGE_BASE =
  /^([0-9a-zA-Z]{10}|arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:knowledge-base\/[0-9a-zA-Z]{10})$/;
const SESSION_ID = /^[0-9a-zA-Z._:-]{2,100}$/;
const DEFAULT_RESULTS = 5;

/** Responds to a Retrieve call. */
export function retrieve({ labels, body: bytes }: OfflineCall): Reply {
  const knowledgeBaseId = labels['knowledgeBaseId'] ?? '';
  if (!KNOWLEDGE_BASE.test(knowledgeBaseId)) return validationError('The knowledge base id is invalid.');
  const body = parseJsonObject(bytes);
  if (body === undefined) return serializationError();
  const query = asText(asObject(body['retrievalQuery'])['text']);
  if (query === '') return validationError('retrievalQuery.text must not be empty.');
  const { numberOfResults } = asObject(asObject(body['retrievalConfiguration'])['vectorSearchConfiguration']);
  if (numberOfResults !== undefined && asCount(numberOfResults, 1, 101) > 100) {
    return validationError('numberOfResults must be between 1 and 100.');
  }
  const count = asCount(numberOfResults, 1, DEFAULT_RESULTS);
  return jsonReply({ retrievalResults: findDocuments(knowledgeBaseId, query, count) });
}

/** Responds to a RetrieveAndGenerate call. */
export function retrieveAndGenerate(call: OfflineCall): Reply {
  const body = parseJsonObject(call.body);
  if (body === undefined) return serializationError();
  const question = asText(asObject(body['input'])['text']);
  const configuration = asObject(body['retrieveAndGenerateConfiguration']);
  const { knowledgeBaseId, modelArn } = asObject(configuration['knowledgeBaseConfiguration']);
  if (question === '') return validationError('input.text must not be empty.');
  if (configuration['type'] !== 'KNOWLEDGE_BASE') {
    return validationError('The offline Bedrock knows retrieveAndGenerateConfiguration of type KNOWLEDGE_BASE only.');
  }
  if (!SHORT_ID.test(asText(knowledgeBaseId))) return validationError('The knowledge base id is invalid.');
  if (asText(modelArn) === '') return validationError('knowledgeBaseConfiguration.modelArn is required.');
  const { content, location, metadata } = findDocument(asText(knowledgeBaseId), question, 0);
  const text = `Offline answer from the knowledge base ${asText(knowledgeBaseId)}: you asked: ${question}`;
  const generatedResponsePart = { textResponsePart: { span: { start: 0, end: text.length - 1 }, text } };
  return jsonReply({
    citations: [{ generatedResponsePart, retrievedReferences: [{ content, location, metadata }] }],
    guardrailAction: 'NONE',
    output: { text },
    sessionId: asText(body['sessionId']) || stableUuid(`session ${question}`),
  });
}

/** Responds to an InvokeAgent call; `streamFinalResponse` makes many chunks of the one. */
export function invokeAgent(call: OfflineCall): Reply {
  const { agentId = '', agentAliasId = '', sessionId = '' } = call.labels;
  if (!SHORT_ID.test(agentId) || !SHORT_ID.test(agentAliasId))
    return validationError('The agent or its alias is invalid.');
  if (!SESSION_ID.test(sessionId)) return validationError('The session id is invalid.');
  const body = parseJsonObject(call.body.length === 0 ? Buffer.from('{}') : call.body);
  if (body === undefined) return serializationError();
  const input = asText(body['inputText']);
  if (input === '' && body['endSession'] !== true) return validationError('inputText must not be empty.');
  const text = input === '' ? 'The session has ended.' : `Offline answer of the agent ${agentId}: you said: ${input}`;
  const streams = asObject(body['streamingConfigurations'])['streamFinalResponse'] === true;
  const pieces = streams ? splitTokens(text) : [text];
  const chunks = pieces.map((piece) => eventFrame('chunk', { bytes: Buffer.from(piece).toString('base64') }));
  const traces = body['enableTrace'] === true ? traceFrames(call, input, text) : [];
  return streamReply([...traces, ...chunks], {
    'x-amzn-bedrock-agent-content-type': 'application/json',
    'x-amz-bedrock-agent-session-id': sessionId,
  });
}

/** What an agent thought, and what the model behind it used: the only place where InvokeAgent reports tokens. */
function traceFrames(call: OfflineCall, input: string, text: string): Buffer[] {
  const { agentId = '', agentAliasId = '', sessionId = '' } = call.labels;
  const aliasArn = `arn:${call.partition}:bedrock:${call.region}:${ACCOUNT_ID}:agent-alias/${agentId}/${agentAliasId}`;
  const traceId = `${stableUuid(`trace ${sessionId} ${input}`)}-0`;
  const usage = { inputTokens: countTokens(input), outputTokens: countTokens(text) };
  const modelInvocationOutput = { traceId, metadata: { usage }, rawResponse: { content: text } };
  const observation = { traceId, type: 'FINISH', finalResponse: { text } };
  const rationale = { traceId, text: 'I repeat what I was told.' };
  return [{ modelInvocationOutput }, { rationale }, { observation }].map((orchestrationTrace) =>
    eventFrame('trace', {
      agentId,
      agentAliasId,
      agentVersion: '1',
      callerChain: [{ agentAliasArn: aliasArn }],
      eventTime: new Date(call.nowMs).toISOString(),
      sessionId,
      trace: { orchestrationTrace },
    }),
  );
}

interface FoundDocument {
  readonly content: object;
  readonly location: object;
  readonly metadata: object;
  readonly score: number;
}

function findDocuments(knowledgeBaseId: string, query: string, count: number): FoundDocument[] {
  return Array.from({ length: count }, (_, index) => findDocument(knowledgeBaseId, query, index));
}

function findDocument(knowledgeBaseId: string, query: string, index: number): FoundDocument {
  const uri = `s3://offline-knowledge-base/${knowledgeBaseId.slice(-10)}/document-${index + 1}.txt`;
  return {
    content: { text: `Document ${index + 1} of the offline knowledge base about: ${query}`, type: 'TEXT' },
    location: { s3Location: { uri }, type: 'S3' },
    metadata: { 'x-amz-bedrock-kb-source-uri': uri, 'x-amz-bedrock-kb-chunk-id': stableUuid(`${uri} ${query}`) },
    score: Number((0.9 / (1 + index / 4)).toFixed(4)),
  };
}
