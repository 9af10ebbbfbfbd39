/**
 * Addresses that clients already have: those of Anthropic's and OpenAI's own APIs, and Bedrock's without the mount.
 * Says which path of Bedrock takes that very body, and what is served at the root. Pure; translates no body.
 */
import { JsonPaths } from '../protocol/json-paths.ts';
import { JsonScanner } from '../protocol/json-scan.ts';
import { matchOperations, matchOtherMethods } from '../operations/matcher.ts';
import { parseModelName } from '../domain/model-name.ts';
import { stripMount } from './target.ts';

/** OpenAI's paths for clients whose base URL lacks `/v1`. */
const WITHOUT_VERSION: ReadonlySet<string> = new Set([
  '/chat/completions',
  '/completions',
  '/embeddings',
  '/models',
  '/responses',
]);
/** Where the model decides the prefix. */
const BY_MODEL: ReadonlySet<string> = new Set(['/v1/chat/completions', '/v1/responses']);
const DECIDING = new JsonPaths(['model', 'background']);
/** Models of bedrock-runtime end in a version, such as `-1:0`; those of mantle do not. */
const RUNTIME_VERSION = /:\d+$/;

/** The path of Bedrock that a familiar one means; any other path as it is. */
export function findNativePath(path: string, isAtRoot: boolean): string {
  if (path === '/v1/messages' || path.startsWith('/v1/messages/')) return `/anthropic${path}`;
  return isAtRoot && WITHOUT_VERSION.has(path) ? `/v1${path}` : path;
}

/**
 * The path below `/openai` that takes the same body, if the model decides between it and `path`. `path` is a native
 * one.
 */
export function findOtherPrefix(method: string, path: string): string | undefined {
  return method === 'POST' && BY_MODEL.has(path) ? `/openai${path}` : undefined;
}

/**
 * Whether a body to `/v1/…` has to go to `/openai/v1/…`: bedrock-mantle has gpt-oss and most models below `/v1`,
 * and newer models of OpenAI's below `/openai/v1`, where bedrock-runtime has all that it serves. The last `model` wins,
 * as with most parsers; a body that cannot be read stays.
 */
export async function wantsOpenaiPrefix(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  path: string,
): Promise<boolean> {
  let model: unknown;
  let isBackground = false;
  const scanner = new JsonScanner(DECIDING, (name, value) => {
    if (name === 'model') model = value;
    else isBackground = value === true;
  });
  for await (const chunk of chunks) scanner.push(chunk);
  if (!scanner.finish() || typeof model !== 'string') return false;
  const isOpenWeight = model.includes('gpt-oss');
  // bedrock-runtime answers at once, and has no Responses API for open-weight models.
  if (path.endsWith('/responses') && (isOpenWeight || isBackground)) return false;
  if (model.startsWith('arn:') || RUNTIME_VERSION.test(model)) return true;
  const bare = parseModelName(model).forms.at(-1) ?? model;
  return bare !== model || (model.startsWith('openai.') && !isOpenWeight);
}

/**
 * Whether the root serves a raw path that no other mount has: a path that the tables know, by whatever method, and the
 * one of awsJson. Services are named below the mount alone.
 */
export function isServedAtRoot(method: string, rawPath: string, hasTarget: boolean): boolean {
  if (rawPath === '/') return method === 'POST' && hasTarget;
  const bare = stripMount(rawPath, '');
  if (bare === undefined) return false;
  const path = findNativePath(bare, true);
  if (matchOperations(method, path).length > 0 || matchOtherMethods(path).length > 0) return true;
  return /^\/model\/arn(?::|%3a)/i.test(path);
}
