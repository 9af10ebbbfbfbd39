/**
 * What a request says of itself, as far as a limit needs it: its models, its size, how it is to be served. Reads the
 * body only if it must. Reports what stays ambiguous, and decides nothing.
 */
import { ProxyError } from '../lib/errors.ts';
import { printable } from '../lib/printable.ts';
import type { HeaderPair } from '../http/message.ts';
import { findContentCoding } from '../http/unpack.ts';
import type { RequestedSize } from './estimate.ts';
import { mayAskForMedia, type MediaRequest } from './requested-media.ts';
import { mayNameGuardrail, namesGuardrailInHeader } from './guardrail-fields.ts';
import { findServingHeaders, type Inspection } from './body-reading.ts';
import { type InspectedBody, inspectBody } from './scan-body.ts';
import type { ModelFields, OperationFacts } from '../operations/facts.ts';
import { findFacts } from '../operations/find-facts.ts';
import type { ReachedRoute } from './scope.ts';

/** A request, as far as its facts are read off it. */
export interface FactsRequest {
  readonly route: ReachedRoute;
  readonly headers: readonly HeaderPair[];
  readonly body: InspectedBody;
}

/** What the reading of a request is bound by. */
export interface FactsLimits {
  /** What a compressed body may unpack to. */
  readonly maxUnpackedBytes: number;
}

/** The facts that a limit relies on. The model for the ledger is looked for in any case, as well as possible. */
export interface RequiredFacts {
  readonly size: boolean;
  readonly models: boolean;
}

/** What a request says of itself. */
export interface RequestFacts extends MediaRequest {
  /** Every model it names, each once, the one in the path first, percent-decoded. At most MAX_MODELS. */
  readonly names: readonly string[];
  /**
   * Why other models may run than these; undefined if that is certain, or was not asked for. A sentence without full
   * stop.
   */
  readonly ambiguity: string | undefined;
  /** Undefined if it was not asked for. */
  readonly size: RequestedSize | undefined;
  /** In AWS's words, lower case; undefined if the request does not say, or its body was not read. */
  readonly serviceTier: string | undefined;
  readonly latency: string | undefined;
  /** It names a guardrail, which costs besides the model; found whatever was asked for. */
  readonly namesGuardrail: boolean;
  /** It asks for its response to be stored; false if its body was not read. */
  readonly storesResponse: boolean;
}

/** Nothing real names as many; each may have to be looked up at AWS. */
const MAX_MODELS = 32;

/**
 * Throws ERR_MODEL_NOT_ALLOWED if too many models are named to look at, or if other parsers may read other ones in the
 * body, ERR_BODY_ENCODING and ERR_BODY_TOO_LARGE for a compressed body that cannot be read, and what reading a spooled
 * body throws: all only if something was asked for.
 */
export async function readRequestFacts(
  request: FactsRequest,
  required: RequiredFacts,
  limits: FactsLimits,
): Promise<RequestFacts> {
  const { route, headers } = request;
  const facts = findFacts(route.service, route.operation, route.modelId !== undefined);
  const asksForMedia = mayAskForMedia(facts, route.modelId, true);
  const isNeeded = asksForMedia || needsBody(facts, request, required);
  const inspection = (await isNeeded) ? await inspect(request, required, limits) : undefined;
  const { serviceTier, latency } = inspection ?? findServingHeaders(facts, headers);
  const names = [...new Set([...(route.modelId === undefined ? [] : [route.modelId]), ...(inspection?.models ?? [])])];
  if (required.size || required.models) {
    if (names.length > MAX_MODELS) throw tooMany(names.length);
    if (inspection?.isEquivocal === true) throw equivocal();
  }
  return {
    names: names.slice(0, MAX_MODELS),
    ambiguity: required.models
      ? findAmbiguity(facts.models, request, { names, wellFormed: inspection?.wellFormed ?? true })
      : undefined,
    size: required.size ? inspection : undefined,
    serviceTier,
    latency,
    variant: inspection?.variant,
    // A body that cannot be read may ask for anything.
    requestedUnits: asksForMedia && inspection === undefined ? UNKNOWN_UNITS : inspection?.requestedUnits,
    namesGuardrail: inspection?.namesGuardrail ?? namesGuardrailInHeader(headers),
    storesResponse: inspection?.storesResponse ?? false,
  };
}

const UNKNOWN_UNITS = { counts: {}, hasUnknown: true };

function needsBody(
  { models: { paths, kind }, serving }: OperationFacts,
  { body, headers }: FactsRequest,
  required: RequiredFacts,
): boolean | Promise<boolean> {
  if (required.size) return true;
  const namesModels = paths.length > 0 && body.sizeBytes > 0;
  if (namesModels && (required.models || kind !== 'path')) return true;
  // Of the operations that name their model in the URL, Converse alone names a guardrail in its body.
  if (serving !== 'converse' || body.sizeBytes === 0) return false;
  return findContentCoding(headers) !== undefined || mayNameGuardrail(body.spool?.read() ?? body.chunks);
}

async function inspect(
  { route, headers, body }: FactsRequest,
  required: RequiredFacts,
  { maxUnpackedBytes }: FactsLimits,
): Promise<Inspection | undefined> {
  const { service, operation, modelId } = route;
  try {
    const isSized = required.size;
    return await inspectBody({ service, operation, pathModel: modelId, headers, body, maxUnpackedBytes, isSized });
  } catch (error) {
    if (required.size || required.models) throw error;
    return undefined;
  }
}

function findAmbiguity(
  { kind, paths, isOptional }: ModelFields,
  { route }: FactsRequest,
  { names, wellFormed }: { readonly names: readonly string[]; readonly wellFormed: boolean },
): string | undefined {
  const { operation, service, effect } = route;
  if (kind === 'none') return undefined;
  if (kind === 'unknown') {
    if (effect === 'read') return undefined;
    return `Which model ${operation ?? 'an unknown operation'} of ${printable(service)} runs is not known`;
  }
  if (paths.length > 0 && !wellFormed) return 'The body cannot be read for certain, so that it may name any model';
  return names.length === 0 && !isOptional ? 'The request names no model, and its operation needs one' : undefined;
}

function equivocal(): ProxyError {
  return new ProxyError(
    'ERR_MODEL_NOT_ALLOWED',
    'The body can be read in two ways, and this key has limits: a member that limits look at stands twice in one ' +
      'object, or differs only in case from one (such as `Model` from `model`), or an object or array stands where a ' +
      'model is named.',
  );
}

function tooMany(count: number): ProxyError {
  return new ProxyError(
    'ERR_MODEL_NOT_ALLOWED',
    `The request names ${count} models; a key with limits may name ${MAX_MODELS}.`,
  );
}
