/**
 * Which shape of request and response InvokeModel has for a model, by its id. One table; pure.
 */

/** The first that fits counts. */
const SHAPES = [
  [/^(anthropic|offline)\./, 'anthropic'],
  [/^amazon\.nova-.*embeddings/, 'nova-embedding'],
  [/^amazon\.nova-(canvas)|^amazon\.titan-image|^stability\./, 'image'],
  [/^amazon\.nova-.*(sonic|reel)|^luma\.|^twelvelabs\./, 'none'],
  [/^amazon\.nova-/, 'nova'],
  [/^amazon\.titan-embed-image/, 'titan-multimodal'],
  [/^amazon\.titan-embed/, 'titan-embedding'],
  [/^amazon\.titan-text/, 'titan-text'],
  [/^(amazon|cohere)\.rerank/, 'rerank'],
  [/^cohere\.embed/, 'cohere-embedding'],
  [/^cohere\.command-r/, 'cohere-chat'],
  [/^cohere\.command/, 'cohere-text'],
  [/^meta\./, 'llama'],
  [/^mistral\.(mistral-7b|mixtral|mistral-(large|small)-2402)/, 'mistral-text'],
  [/^deepseek\.r1/, 'deepseek-text'],
  [/^(ai21|deepseek|google|minimax|mistral|moonshotai|nvidia|openai|qwen|writer|xai|zai)\./, 'chat'],
] as const;

/** `chat` is OpenAI's chat completion; `none` has no InvokeModel; `unknown` goes by what the body holds. */
export type ModelShape = (typeof SHAPES)[number][1] | 'unknown';

/** The shape of a model's InvokeModel. */
export function findShape(id: string): ModelShape {
  return SHAPES.find(([pattern]) => pattern.test(id))?.[1] ?? 'unknown';
}

/** The shapes that a conversation can be held in, of Converse too. */
const CONVERSING: ReadonlySet<ModelShape> = new Set<ModelShape>([
  'anthropic',
  'nova',
  'titan-text',
  'cohere-chat',
  'cohere-text',
  'llama',
  'mistral-text',
  'deepseek-text',
  'chat',
  'unknown',
]);

/** True if Converse takes the model. */
export function canConverse(shape: ModelShape): boolean {
  return CONVERSING.has(shape);
}
