/**
 * What one request's body tells admission, as its bytes pass: the models it names, how much it asks for, and what in it
 * is no text. Decides nothing. Which fields are looked at stands in the tables of the files that are imported.
 */
import { findHeader, type HeaderPair } from '../http/message.ts';
import { JsonPaths } from '../protocol/json-paths.ts';
import { type JsonScalar, JsonScanner } from '../protocol/json-scan.ts';
import type { OperationFacts } from '../operations/facts.ts';
import { GUARDRAIL_PATHS } from './guardrail-fields.ts';
import { HIDDEN_PATHS, HiddenTokens } from './hidden-tokens.ts';
import { type MediaSize, INPUT_MEDIA_PATHS, InputMedia, NO_INPUT_MEDIA } from './input-media.ts';
import { findServingFields, LATENCY_PATH, MAX_TOKENS, type ServingFields, TIER_PATHS } from './limit-fields.ts';
import { OUTSIDE_PATHS, OutsideInput } from './outside-input.ts';
import { mayAskForMedia, mediaPaths, type MediaRequest, RequestedMedia } from './requested-media.ts';
import { WEB_SEARCH_PATHS, WebSearches } from './web-searches.ts';

/** What was found in one body. */
export interface Inspection extends MediaRequest {
  /**
   * Every model that the body names in a field that its operation reads, in the body's order, repeats kept. If a member
   * is there twice, the last comes first: most parsers take that one.
   */
  readonly models: readonly string[];
  /** The largest that the body allows for one response; undefined if it says nothing that AWS must obey. */
  readonly maxOutputTokens: number | undefined;
  /** The largest in fields that AWS may ignore, so that it limits nothing, or obey, so that a larger one counts. */
  readonly doubtfulMaxOutputTokens: number;
  /** An estimate, rather too high: see `estimateTokens`. */
  readonly inputTokens: number;
  /** Pictures, and what else is no text. */
  readonly pieces: number;
  /** Searches of the web that its tools may make at most. */
  readonly webSearches: number;
  /**
   * The model reads what is not in the body, or of which the body does not tell how much it is, or the body cannot be
   * read. False if the size was not asked for.
   */
  readonly hasOutsideInput: boolean;
  /** The request asks for a context window of a million tokens where the model's own is smaller. */
  readonly wantsLongContext: boolean;
  /**
   * The body is one JSON object in plain UTF-8, or empty. If false, AWS may read models that `models` does not have;
   * what `models` has was read before the fault.
   */
  readonly wellFormed: boolean;
  /**
   * The body has a member of those that count here twice, or one that a parser which ignores case takes for one of
   * them, or an object or array where a model is named.
   */
  readonly isEquivocal: boolean;
  /** As the request asks for it in a field that its operation reads, in lower case; undefined if it does not. */
  readonly serviceTier: string | undefined;
  readonly latency: string | undefined;
  /** How many responses are asked for; 1 if the body says nothing. */
  readonly copies: number;
  /** Body or headers name a guardrail. */
  readonly namesGuardrail: boolean;
  /** It asks for its response to be stored, so that others can refer to it. */
  readonly storesResponse: boolean;
}

/** English text has about four bytes a token, other languages, code and numbers fewer. */
const BYTES_PER_TOKEN = 3;
/**
 * What a large picture costs, whatever its bytes: 4,784 with Claude
 * (https://docs.claude.com/en/docs/build-with-claude/vision). For models that read more of one, the next line makes up.
 */
const TOKENS_PER_PIECE = 5000;
/** Of the base64 of pictures, films and documents that are no text. */
const PIECE_BYTES_PER_TOKEN = 50;

/** Names that are kept; a body with more is not trusted. */
const MAX_NAMES = 1000;

/** OpenAI, Cohere, AI21, and the makers of images. */
const COPIES = [
  ...['', 'additionalModelRequestFields.'].flatMap((body) => [
    `${body}n`,
    `${body}best_of`,
    `${body}num_generations`,
    `${body}numResults`,
  ]),
  'imageGenerationConfig.numberOfImages',
  'samples',
];
/** OpenAI's completions answer each of several prompts, which are texts, or lists of tokens. */
const PROMPTS = 'prompt[]';
const SERVICE_TIER_HEADER = 'x-amzn-bedrock-service-tier';
const LATENCY_HEADER = 'x-amzn-bedrock-performanceconfig-latency';
/** Longer words are none of AWS's; they would only fill the ledger. */
const MAX_WORD_LENGTH = 64;

/** Anthropic's beta, for Claude Sonnet 4 and 4.5. */
export const LONG_CONTEXT = /(?:^|[,\s])context-1m\b/;
const BETAS = ['anthropic_beta[]', 'anthropic_beta', 'additionalModelRequestFields.anthropic_beta[]'];

/** Of OpenAI's API. */
const STORE = 'store';

type Meaning = 'maxTokens' | 'copies' | 'prompt' | 'serviceTier' | 'latency' | 'beta' | 'guardrail' | 'store';

const MEANINGS: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  ...MAX_TOKENS.map((path) => [path, 'maxTokens'] as const),
  ...COPIES.map((path) => [path, 'copies'] as const),
  [PROMPTS, 'prompt'],
  ...TIER_PATHS.map((path) => [path, 'serviceTier'] as const),
  [LATENCY_PATH, 'latency'],
  ...BETAS.map((path) => [path, 'beta'] as const),
  ...GUARDRAIL_PATHS.map((path) => [path, 'guardrail'] as const),
  [STORE, 'store'],
]);
const SIZE_PATHS = new Set([...OUTSIDE_PATHS, ...INPUT_MEDIA_PATHS, ...WEB_SEARCH_PATHS, ...HIDDEN_PATHS]);

/** What is looked for besides the models, and the paths made for each list of them when they are first needed. */
interface Search {
  readonly others: readonly string[];
  readonly made: Map<readonly string[], JsonPaths>;
}

const SEARCHES = new Map<string, Search>();

function pathsOf({ models, media }: OperationFacts, isSized: boolean, hasMedia: boolean): JsonPaths {
  const name = `${isSized}${hasMedia ? media : ''}`;
  const search = SEARCHES.get(name) ?? {
    others: [
      ...MEANINGS.keys(),
      ...(isSized ? SIZE_PATHS : []),
      ...(hasMedia && media !== undefined ? mediaPaths(media) : []),
    ],
    made: new Map(),
  };
  SEARCHES.set(name, search);
  const known = search.made.get(models.paths);
  if (known !== undefined) return known;
  // A path that is there twice would be reported twice.
  const made = new JsonPaths([...new Set([...models.paths, ...search.others])]);
  search.made.set(models.paths, made);
  return made;
}

/** What the headers alone say of how a request is to be served: as `Inspection` has it. */
export function findServingHeaders(
  facts: OperationFacts,
  headers: readonly HeaderPair[],
): Pick<Inspection, 'serviceTier' | 'latency'> {
  if (!findServingFields(facts).inHeader) return { serviceTier: undefined, latency: undefined };
  return {
    serviceTier: toWord(findHeader(headers, SERVICE_TIER_HEADER)),
    latency: toWord(findHeader(headers, LATENCY_HEADER)),
  };
}

function toWord(text: string | undefined): string | undefined {
  return text?.slice(0, MAX_WORD_LENGTH).toLowerCase();
}

/** How a body is read. */
export interface ReadingOptions {
  readonly limits: ReadonlySet<string>;
  readonly isSized: boolean;
  readonly pathModel: string | undefined;
}

/** What is gathered from one body, pushed in pieces. State: the scanner, and what it has found so far. */
export class BodyReading {
  readonly #scanner: JsonScanner;
  readonly #models: string[] = [];
  #hasUnreadableModel = false;
  #hasContainer = false;
  /** Where each member stands in `#models` that names one model. */
  readonly #single = new Map<string, number>();
  readonly #limits: ReadonlySet<string>;
  readonly #facts: OperationFacts;
  readonly #serving: ServingFields;
  /** Of the fields that limit the response, and of those that may. */
  #maxTokens: number | undefined;
  #doubtfulMaxTokens = 0;
  #copies = 1;
  #prompts = 0;
  #serviceTier: string | undefined;
  #latency: string | undefined;
  readonly #isSized: boolean;
  readonly #outside = new OutsideInput();
  readonly #inputMedia = new InputMedia();
  readonly #searches = new WebSearches();
  readonly #hidden = new HiddenTokens();
  #wantsLongContext = false;
  readonly #media: RequestedMedia | undefined;
  #namesGuardrail = false;
  #storesResponse = false;

  constructor(facts: OperationFacts, { limits, isSized, pathModel }: ReadingOptions) {
    const media = mayAskForMedia(facts, pathModel, false) ? facts.media : undefined;
    this.#media = media && new RequestedMedia(media);
    this.#isSized = isSized;
    this.#limits = limits;
    this.#facts = facts;
    this.#serving = findServingFields(facts);
    this.#scanner = new JsonScanner(
      pathsOf(facts, isSized, media !== undefined),
      (path, value) => this.#take(path, value),
      undefined,
      (path) => this.#open(path),
    );
  }

  /** It is no JSON from here on. */
  get isBroken(): boolean {
    return this.#scanner.isBroken;
  }

  /** The next bytes. */
  push(bytes: Buffer): void {
    this.#scanner.push(bytes);
  }

  /** How the request is to be served; what a header says counts before the body. */
  findServing(headers: readonly HeaderPair[]): Pick<Inspection, 'serviceTier' | 'latency'> {
    const { serviceTier, latency } = findServingHeaders(this.#facts, headers);
    return { serviceTier: serviceTier ?? toWord(this.#serviceTier), latency: latency ?? toWord(this.#latency) };
  }

  /** Once, at the end. `isPlain`: every parser sees the same text in the bytes. */
  finish({ isPlain, sizeBytes }: { isPlain: boolean; sizeBytes: number }): Omit<Inspection, 'serviceTier' | 'latency'> {
    const { kind } = this.#facts.models;
    const isJson = this.#scanner.finish();
    const isObject = isJson && this.#scanner.isObject;
    const isReadable = isPlain && (isObject || sizeBytes === 0);
    // An agent reads what it has kept of the session, what its tools find, and what its model wrote before.
    const isAgent = this.#facts.response === 'agentStream';
    const media = isJson ? this.#inputMedia.finish() : NO_INPUT_MEDIA;
    const { turns, inputTokens: hiddenTokens } = this.#hidden;
    const hasUnsizedInput = isAgent || !isReadable || media.hasUnsized;
    return {
      models: this.#models,
      maxOutputTokens: this.#maxTokens && Math.max(this.#maxTokens, this.#doubtfulMaxTokens),
      doubtfulMaxOutputTokens: this.#doubtfulMaxTokens,
      inputTokens: turns * (estimateTokens(sizeBytes, media) + hiddenTokens),
      pieces: media.pieces,
      webSearches: this.#searches.finish(),
      hasOutsideInput: this.#isSized && (this.#outside.finish() || hasUnsizedInput),
      wantsLongContext: this.#wantsLongContext,
      wellFormed: isReadable && !this.#hasUnreadableModel,
      // What the owner of an agent made of its body is not known.
      isEquivocal: (kind === 'path' || kind === 'body') && this.#isEquivocal,
      copies: this.#copies * Math.max(1, this.#prompts) * turns,
      ...(this.#media?.finish() ?? NO_MEDIA),
      namesGuardrail: this.#namesGuardrail,
      storesResponse: this.#storesResponse,
    };
  }

  get #isEquivocal(): boolean {
    return this.#scanner.hasCaseVariant || this.#scanner.hasRepeatedMember || this.#hasContainer;
  }

  #open(path: string): void {
    if (path === PROMPTS) this.#prompts += 1;
    if (MEANINGS.has(path)) return;
    const isMedia = this.#media?.has(path) === true;
    if (isMedia) this.#media?.open(path);
    if (this.#isSized && SIZE_PATHS.has(path)) {
      this.#outside.open(path);
      this.#inputMedia.open(path);
      this.#searches.open(path);
      this.#hidden.open(path);
    } else if (!isMedia) this.#hasContainer = true;
  }

  #take(path: string, value: JsonScalar): void {
    const isMedia = this.#media?.has(path) === true;
    if (isMedia) this.#media?.take(path, value);
    if (this.#isSized && SIZE_PATHS.has(path)) {
      this.#outside.take(path, value);
      this.#searches.take(path, value);
      this.#hidden.take(path, value);
      return this.#inputMedia.take(path, value, this.#scanner.wasBlob);
    }
    if (isMedia) return undefined;
    const meaning = MEANINGS.get(path);
    switch (meaning) {
      case undefined:
        return this.#takeModel(path, value);
      case 'maxTokens':
        if (this.#limits.has(path)) this.#maxTokens = largest(this.#maxTokens, value);
        // What reads a text as a number obeys it; what does not sees no limit there.
        if (!this.#limits.has(path) || typeof value === 'string') {
          this.#doubtfulMaxTokens = largest(this.#doubtfulMaxTokens, toNumber(value)) ?? 0;
        }
        return undefined;
      case 'copies':
        this.#copies = largest(this.#copies, toNumber(value)) ?? 1;
        return undefined;
      case 'prompt':
        if (typeof value !== 'number') this.#prompts += 1;
        return undefined;
      case 'serviceTier':
        if (typeof value === 'string' && this.#serving.tierPaths.includes(path)) this.#serviceTier = value;
        return undefined;
      case 'latency':
        if (typeof value === 'string' && this.#serving.latencyPaths.includes(path)) this.#latency = value;
        return undefined;
      case 'guardrail':
        this.#namesGuardrail ||= value !== null;
        return undefined;
      case 'store':
        this.#storesResponse ||= value !== null && value !== false;
        return undefined;
      default:
        this.#wantsLongContext ||= typeof value === 'string' && LONG_CONTEXT.test(value);
    }
  }

  #takeModel(path: string, value: JsonScalar): void {
    if (value === null) return;
    if (typeof value === 'object' || this.#models.length >= MAX_NAMES) {
      this.#hasUnreadableModel = true;
      return;
    }
    const at = path.includes('[]') || path.includes('*') ? undefined : this.#single.get(path);
    if (at === undefined) this.#single.set(path, this.#models.length);
    this.#models.splice(at ?? this.#models.length, 0, String(value));
  }
}

/** Some parsers take a text of digits for the number. */
function toNumber(value: JsonScalar): JsonScalar {
  return typeof value === 'string' && /^\s*\+?\d/.test(value) ? Number(value) : value;
}

/**
 * Counts only numbers that AWS could take: an absurd one is refused there, or makes a reservation that is refused here.
 */
function largest(before: number | undefined, value: JsonScalar): number | undefined {
  if (typeof value !== 'number' || !(value > 0) || value > Number.MAX_SAFE_INTEGER) return before;
  return Math.max(before ?? 0, Math.ceil(value));
}

/**
 * How many tokens a body may come to. All bytes count as text, names and punctuation too, because tools and schemas are
 * read by the model as they stand; only what stands where pictures and documents do counts as such. What a body merely
 * points to, or packs, is not in here: see `outside-input.ts` and `MediaSize.hasUnsized`.
 */
function estimateTokens(sizeBytes: number, { blobBytes, textBytes, pieces, pieceBytes }: MediaSize): number {
  const textTokens = Math.ceil((sizeBytes - blobBytes + textBytes) / BYTES_PER_TOKEN);
  return textTokens + pieces * TOKENS_PER_PIECE + Math.ceil(pieceBytes / PIECE_BYTES_PER_TOKEN);
}

const NO_MEDIA: MediaRequest = { variant: undefined, requestedUnits: undefined };
