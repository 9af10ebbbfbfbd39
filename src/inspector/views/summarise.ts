/** One row of the list of exchanges. Pure. */
import { rowToJson } from '../../domain/ledger-columns.ts';
import { SERVICES } from '../../operations/catalog.ts';
import type { Exchange } from '../exchange.ts';
import type { CacheView, ExchangeKind, ExchangeSummary, ExplanationView, Json } from '../wire.ts';
import { exactUsd } from '../../lib/usd.ts';
import { responseOf } from './kept-body.ts';
import { findLongestGap } from './timing.ts';

/** What cache doctor and explainer have found; absent: nothing. */
export interface ExchangeFindings {
  readonly cache?: CacheView | undefined;
  readonly explanation?: ExplanationView | undefined;
}

/** The services whose requests go to models. */
const MODEL_SERVICES: ReadonlySet<string> = new Set(['bedrock-runtime', 'bedrock-mantle']);
/** How the access key id of the offline Bedrock begins; AWS's never do. */
const OFFLINE_KEY = 'OFFL';

/** A row of the list. */
export function summarise(exchange: Exchange, { cache, explanation }: ExchangeFindings): ExchangeSummary {
  const { conversation, attempt } = exchange;
  return {
    id: exchange.id,
    sequence: exchange.sequence,
    state: exchange.end,
    // Columns give nothing but JSON.
    row: rowToJson(exchange.row) as { readonly [name: string]: Json },
    kind: findKind(exchange),
    source: findSource(exchange),
    is_streamed: exchange.row.isStreamed,
    omitted: exchange.omitted ?? null,
    gap_ms: findLongestGap(responseOf(exchange)?.body) ?? null,
    parent: exchange.parent ?? null,
    is_edited: exchange.isEdited,
    is_pinned: exchange.isPinned,
    note: exchange.note ?? null,
    conversation:
      conversation === undefined
        ? null
        : { id: conversation.id, turn: conversation.turn, previous: conversation.previous ?? null },
    attempt: attempt === undefined ? null : { number: attempt.number, previous: attempt.previous },
    cache: cache === undefined ? findKeptVerdict(exchange) : { ...pickVerdict(cache), lost_usd: cache.money.lost_usd },
    explanation: explanation === undefined ? null : pickCause(exchange, explanation),
  };
}

/** What the proxy refuses its own message explains better than the cause, which goes by the code alone. */
function pickCause({ row }: Exchange, { entry, cause }: ExplanationView): ExchangeSummary['explanation'] {
  return { entry, cause: entry === row.errorCode ? (row.errorMessage ?? cause) : cause };
}

function pickVerdict({ verdict, confidence }: CacheView): Pick<CacheView, 'verdict' | 'confidence'> {
  return { verdict, confidence };
}

/** The ledger's word, if the doctor has forgotten how sure it was. */
function findKeptVerdict({ row }: Exchange): ExchangeSummary['cache'] {
  const { cacheVerdict: verdict, cacheLostNanoUsd: lost } = row;
  if (verdict === undefined) return null;
  return { verdict, confidence: 'unknown', lost_usd: lost === undefined ? null : exactUsd(lost) };
}

/** What a row is about. Of a refusal of the proxy's own, nothing was sent. */
export function findKind({ row, end, layers }: Exchange): ExchangeKind {
  const isOwn = row.errorCode?.startsWith('ERR_') === true && layers.upstreamResponse === undefined;
  if (end === 'refused' || (isOwn && layers.signedRequest === undefined)) return 'own';
  const service = row.service === undefined ? undefined : SERVICES.get(row.service);
  if (service === undefined) return isOwn ? 'own' : 'model';
  if (service.plane === 'control') return 'control';
  return MODEL_SERVICES.has(service.id) ? 'model' : 'agent';
}

/** Who has responded. */
function findSource({ row, signing }: Exchange): ExchangeSummary['source'] {
  if (row.source === 'cassette') return 'cassette';
  if (row.fault !== undefined) return 'fault';
  return signing?.accessKeyId?.startsWith(OFFLINE_KEY) === true ? 'offline' : 'live';
}
