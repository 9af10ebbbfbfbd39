/**
 * Reranking in the offline Bedrock: by the words that a document shares with the question. Rerank of
 * bedrock-agent-runtime, and InvokeModel of Amazon's and Cohere's rerankers. Pure.
 */
import { uncached, type InvokeOutcome } from './invoke-outcome.ts';
import { asCount, asObject, asObjects, asText, isObject, parseJsonObject, type JsonObject } from '../../lib/json.ts';
import { findOfflineModel } from './models.ts';
import { invalidModel, jsonReply, serializationError, validationError, type OfflineCall, type Reply } from './reply.ts';
import { countTokens } from './tokens.ts';
import { similarityOf, vectorOf } from './vectors.ts';

const MAX_SOURCES = 1000;
const LATENCY_MS = 40;
const DIMENSIONS = 256;

/** Responds to a Rerank call. */
export function rerank(call: OfflineCall): Reply {
  const body = parseJsonObject(call.body);
  if (body === undefined) return serializationError();
  const query = asText(asObject(asObjects(body['queries'])[0]?.['textQuery'])['text']);
  const sources = asObjects(body['sources']);
  if (query === '') return validationError('queries must have a text query.');
  if (sources.length === 0 || sources.length > MAX_SOURCES) {
    return validationError(`sources must have 1 to ${MAX_SOURCES} members.`);
  }
  const configuration = asObject(asObject(body['rerankingConfiguration'])['bedrockRerankingConfiguration']);
  const arn = asText(asObject(configuration['modelConfiguration'])['modelArn']);
  if (findOfflineModel(arn, call.region)?.shape !== 'rerank') return invalidModel();
  const ranked = rank(query, sources.map(textOfSource));
  const count = asCount(configuration['numberOfResults'], 1, ranked.length);
  const results = ranked.slice(0, count).map(({ index, score }) => {
    const { type, textDocument, jsonDocument } = asObject(sources[index]?.['inlineDocumentSource']);
    const document = isObject(textDocument) ? { type, textDocument } : { type, jsonDocument };
    return { index, relevanceScore: score, document };
  });
  return jsonReply({ results });
}

/** Responds to InvokeModel of a reranker. */
export function invokeRerank(body: JsonObject): InvokeOutcome {
  const query = asText(body['query']);
  const documents = Array.isArray(body['documents']) ? body['documents'] : [];
  if (query === '' || documents.length === 0) {
    return { problem: 'Malformed input request: query and documents are required.' };
  }
  const texts = documents.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)));
  const ranked = rank(query, texts);
  const results = ranked
    .slice(0, asCount(body['top_n'], 1, ranked.length))
    .map(({ index, score }) => ({ index, relevance_score: score }));
  const tokens = uncached(countTokens(query) + texts.reduce((sum, text) => sum + countTokens(text), 0));
  return { content: { results }, streamed: undefined, tokens, outputTokens: 0, latencyMs: LATENCY_MS };
}

/** The best first; equals in their order. */
function rank(query: string, texts: readonly string[]): { readonly index: number; readonly score: number }[] {
  const asked = vectorOf(query, DIMENSIONS);
  return texts
    .map((text, index) => ({ index, score: similarityOf(asked, vectorOf(text, DIMENSIONS)) }))
    .toSorted((one, other) => other.score - one.score);
}

function textOfSource({ inlineDocumentSource }: JsonObject): string {
  const { textDocument, jsonDocument } = asObject(inlineDocumentSource);
  return isObject(textDocument) ? asText(textDocument['text']) : JSON.stringify(jsonDocument ?? '');
}
