/**
 * Which program a user agent belongs to, by a table. Pure. For counting only: a user agent is what its sender says it
 * is, so nothing may be decided by it.
 */

/** More than any client we know sends. The rest is ignored, because the text is not trusted. */
const MAX_LENGTH = 1_024;

/**
 * What the products of user agents are called (the part before the first slash, lower case). Programs that are built on
 * an SDK send its user agent with a mark of their own in it: see MARKS.
 */
const PRODUCTS: ReadonlyMap<string, string> = new Map([
  ['claude-cli', 'claude-code'],
  ['claude-code', 'claude-code'],
  ['opencode', 'opencode'],
  ['aws-cli', 'aws-cli'],
  ['boto3', 'boto3'],
  ['botocore', 'boto3'],
  ['aiobotocore', 'boto3'],
  ['aws-sdk-js', 'aws-sdk-js'],
  ['aws-sdk-nodejs', 'aws-sdk-js'],
  ['aws-sdk-go', 'aws-sdk-go'],
  ['aws-sdk-go-v2', 'aws-sdk-go'],
  ['aws-sdk-java', 'aws-sdk-java'],
  ['aws-sdk-kotlin', 'aws-sdk-kotlin'],
  ['aws-sdk-rust', 'aws-sdk-rust'],
  ['aws-sdk-swift', 'aws-sdk-swift'],
  ['aws-sdk-cpp', 'aws-sdk-cpp'],
  ['aws-sdk-php', 'aws-sdk-php'],
  ['aws-sdk-ruby3', 'aws-sdk-ruby'],
  ['litellm', 'litellm'],
  ['curl', 'curl'],
  ['wget', 'wget'],
  ['python-requests', 'python-requests'],
  ['python-httpx', 'httpx'],
  ['python-urllib', 'python-urllib'],
  // Of fetch in Node.js; it has no version.
  ['node', 'node-fetch'],
  ['undici', 'node-fetch'],
  ['node-fetch', 'node-fetch'],
  ['axios', 'axios'],
  ['go-http-client', 'go-http-client'],
  ['okhttp', 'okhttp'],
  ['postmanruntime', 'postman'],
  ['mozilla', 'browser'],
]);

/** Names of frameworks anywhere in the user agent, the most specific first. */
const MARKS: readonly (readonly [mark: string, family: string])[] = [
  ['langchain', 'langchain'],
  ['llama_index', 'llama-index'],
  ['llama-index', 'llama-index'],
  ['strands-agents', 'strands'],
  ['app/roocode', 'roo-code'],
  ['app/cline', 'cline'],
];

/** Starts of products that have many endings. */
const STARTS: readonly (readonly [start: string, family: string])[] = [
  ['aws-sdk-dotnet', 'aws-sdk-net'],
  ['ai-sdk/', 'vercel-ai-sdk'],
  ['ai/', 'vercel-ai-sdk'],
];

/**
 * `AsyncAnthropicBedrock/Python 1.13.0`, `OpenAI/JS 6.49.0`: the clients that Stainless generates name their language
 * second.
 */
const GENERATED =
  /^(?:async)?(?:azure)?(anthropic|openai)[a-z]*\/(python|js|nodejs|go|java|kotlin|ruby|php|c#)(?![a-z])/;
const LANGUAGES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  anthropic: { js: 'typescript', nodejs: 'typescript' },
  openai: { js: 'node', nodejs: 'node' },
};

/**
 * `claude-code`, `boto3`, `aws-sdk-go`, `anthropic-sdk-python`, `openai-node`, `langchain`, …; undefined for what is
 * not in the table.
 */
export function findUserAgentFamily(userAgent: string | undefined): string | undefined {
  if (userAgent === undefined) return undefined;
  const text = userAgent.slice(0, MAX_LENGTH).toLowerCase();
  for (const [mark, family] of MARKS) if (text.includes(mark)) return family;
  for (const [start, family] of STARTS) if (text.startsWith(start)) return family;
  const [, maker, language] = GENERATED.exec(text) ?? [];
  if (maker !== undefined && language !== undefined) {
    const name = LANGUAGES[maker]?.[language] ?? language.replace('c#', 'net');
    return maker === 'anthropic' ? `anthropic-sdk-${name}` : `openai-${name}`;
  }
  const [product = ''] = /^[^/\s;]*/.exec(text) ?? [];
  return PRODUCTS.get(product);
}
