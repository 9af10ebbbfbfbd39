/**
 * One endpoint of the admin API as data: what it takes, what it answers and who may call it. From these the router
 * serves and the OpenAPI document is written, so that they cannot differ.
 */
import { z } from 'zod';
import type { Access, OwnKey } from './access.ts';
import { AdminError } from './envelope.ts';

/** What a request brought, before anybody looked at it. */
interface RawCall {
  /** What stands in the place of `{key}`, percent-decoded; undefined where the path has no such place. */
  readonly pathKey: string | undefined;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: Readonly<Record<string, unknown>>;
  readonly ownKey: OwnKey;
}

/** The same, validated. */
interface Call<Query, Body> {
  readonly pathKey: string | undefined;
  readonly query: Query;
  readonly body: Body;
  readonly ownKey: OwnKey;
}

interface EndpointFacts {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Without trailing slash; `{key}` stands for one segment. */
  readonly path: string;
  /** One line, for the document. */
  readonly summary: string;
  readonly access: Access;
}

/** An endpoint, ready to be served and described. */
export interface Endpoint extends EndpointFacts {
  readonly query: z.ZodObject;
  /** Undefined where a body is not read. */
  readonly body: z.ZodObject | undefined;
  readonly response: z.ZodType;
  /** The response, to be sent as JSON. Throws AdminError where the call is not what the schemas say. */
  readonly serve: (call: RawCall) => Promise<unknown>;
}

const NOTHING = z.strictObject({});

/**
 * Ties schemas and answer together: `response` gets what the schemas let through, and must answer what `response` says.
 */
export function defineEndpoint<
  Response extends z.ZodType,
  Query extends z.ZodObject = typeof NOTHING,
  Body extends z.ZodObject = typeof NOTHING,
>(
  facts: EndpointFacts & {
    readonly query?: Query;
    readonly body?: Body;
    /** Fields that ask for something even as 0 or false, each with the reason why it is refused. */
    readonly refusals?: Readonly<Record<string, string>>;
    readonly response: Response;
    readonly respond: (call: Call<z.output<Query>, z.output<Body>>) => Promise<z.output<Response>>;
  },
): Endpoint {
  const { method, path, summary, access, response, query = NOTHING, body = NOTHING, refusals = {}, respond } = facts;
  return {
    method,
    path,
    summary,
    access,
    query,
    body: method === 'GET' || method === 'DELETE' ? undefined : body,
    response,
    serve: async (call) =>
      respond({
        pathKey: call.pathKey,
        ownKey: call.ownKey,
        query: check(query, call.query, { kind: 'query parameters', refusals }) as z.output<Query>,
        body: check(body, call.body, { kind: 'fields', refusals }) as z.output<Body>,
      }),
  };
}

/** What has a reason worth telling. */
const WHY: Readonly<Record<string, string>> = {
  key: 'A key is always made of random bytes here: its AWS-shaped pair is derived from it.',
  new_key: 'A key is always made of random bytes here: its AWS-shaped pair is derived from it.',
  spend: 'What a key has spent is counted, not set.',
};

interface CheckContext {
  readonly kind: 'query parameters' | 'fields';
  readonly refusals: Readonly<Record<string, string>>;
}

/** Refuses by name what the proxy cannot honour: a limit that is silently dropped is no limit. */
function check(
  schema: z.ZodObject,
  given: Readonly<Record<string, unknown>>,
  { kind, refusals }: CheckContext,
): unknown {
  const known = new Set(Object.keys(schema.shape));
  const isNothing = kind === 'fields' ? asksForNothing : (value: unknown) => NOTHING_IN_QUERY.has(String(value));
  const isRefused = (name: string): boolean =>
    (given[name] ?? undefined) !== undefined && Object.hasOwn(refusals, name);
  const unknown = Object.keys(given).filter((name) => !known.has(name) && (isRefused(name) || !isNothing(given[name])));
  if (unknown.length > 0) throw unsupported(unknown, [...known], { kind, refusals });
  const wanted = Object.fromEntries(Object.entries(given).filter(([name]) => known.has(name)));
  const result = schema.safeParse(wanted);
  if (result.success) return result.data;
  const [first] = result.error.issues;
  const param = first?.path.map(String).join('.') ?? '';
  throw new AdminError(`${param === '' ? 'The request' : param} is not valid: ${first?.message ?? 'unknown'}.`, {
    param: param === '' ? undefined : param,
  });
}

/**
 * LiteLLM's clients send fields they do not use as null, false, 0, '', [] or {}: in any field that asks for nothing.
 */
export function asksForNothing(value: unknown): boolean {
  if (typeof value === 'object') return value === null || Object.keys(value).length === 0;
  return value === false || value === 0 || value === '';
}

/** The same where all is text, as programs write it; what is empty was left out before. */
const NOTHING_IN_QUERY: ReadonlySet<string> = new Set(['false', 'False', '0', 'null', 'None']);

function unsupported(names: readonly string[], known: readonly string[], { kind, refusals }: CheckContext): AdminError {
  const reasons = { ...WHY, ...refusals };
  const [why] = names.map((name) => (Object.hasOwn(reasons, name) ? reasons[name] : undefined)).filter(Boolean);
  const knows = known.length === 0 ? 'It takes none here.' : `It knows ${known.join(', ')}.`;
  return new AdminError(`The proxy does not support these ${kind}: ${names.join(', ').slice(0, 300)}.`, {
    param: names.join(', ').slice(0, 300),
    hint: why ?? knows,
  });
}
