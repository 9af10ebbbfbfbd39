/** What an endpoint of the inspector's API is, as data: the router serves by it, the OpenAPI document tells it. */
import type { Exchange } from '../inspector/exchange.ts';
import { summarise } from '../inspector/views/summarise.ts';
import type { ExchangeSummary } from '../inspector/wire.ts';
import { ProxyError } from '../lib/errors.ts';
import type { InspectorCall } from './call.ts';
import type { InspectorOptions } from './options.ts';

/** Below this stands all that wants a token. */
export const INSPECTOR_API = '/inspect/api/v1/';

/** One method of one path. */
export interface InspectorEndpoint {
  readonly method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  /** Below `/inspect/api/v1/`; with `{id}` and `{layer}` in the places of a segment. */
  readonly path: string;
  readonly summary: string;
  /** What it takes in its query. */
  readonly query?: readonly string[];
  /** Members of the JSON that it takes, and their types. */
  readonly body?: Readonly<Record<string, 'string' | 'boolean' | 'integer' | 'object' | 'array'>>;
  /** Whether it spends money or changes what is kept: then it wants the master key if others reach the port. */
  readonly isChange?: true;
  serve(call: InspectorCall): Promise<void> | void;
}

/** An endpoint that is about one exchange. Throws ERR_UNKNOWN_PATH if that is not there. */
export function serveExchange(
  serve: (exchange: Exchange, call: InspectorCall) => Promise<void> | void,
): InspectorEndpoint['serve'] {
  return async (call) => serve(await requireExchange(call.options, call.id), call);
}

/** The exchange of this id. Throws ERR_UNKNOWN_PATH. */
export async function requireExchange({ source }: Pick<InspectorOptions, 'source'>, id: string): Promise<Exchange> {
  const exchange = await source.find(id);
  if (exchange !== undefined) return exchange;
  throw new ProxyError('ERR_UNKNOWN_PATH', 'There is no exchange of this id.', {
    hint: 'It may have made room for younger ones: `--inspect-limit` says how many are kept.',
  });
}

/** The row of an exchange, with what cache doctor and explainer say. */
export function summariseFor(
  { findCache, explain }: Pick<InspectorOptions, 'findCache' | 'explain'>,
  exchange: Exchange,
): ExchangeSummary {
  return summarise(exchange, { cache: findCache(exchange.id), explanation: explain(exchange) });
}
