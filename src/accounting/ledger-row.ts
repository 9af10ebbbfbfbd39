/**
 * An exchange as a row of the ledger. Pure: the ledger writes it, and a reservation carries it for the case that this
 * process dies before it can.
 */
import type { Exchange } from '../domain/request-record.ts';
import type { Principal } from '../domain/principal.ts';
import type { LedgerRow } from '../domain/ledger.ts';
import { findCostNanoUsd, findErrorCode, findModel, findPricing } from '../domain/outcome.ts';
import { findUserAgentFamily } from '../domain/user-agent.ts';

/** Error code of a row whose request was under way when the proxy died. Never on the wire: nobody was there to send it. */
export const INTERRUPTED = 'ERR_INTERRUPTED';

/** AWS allows a model's name 2,048 characters; a client may send more of them in a path. */
const MAX_MODEL_LENGTH = 2_048;

/** The row of a finished exchange. `principal` is the exchange's: what nobody asked for has no row. */
export function rowOf(exchange: Exchange, principal: Principal): LedgerRow {
  return {
    ...factsOf(exchange, principal),
    status: exchange.status,
    errorCode: findErrorCode(exchange),
    upstreamRequestId: exchange.upstreamRequestId,
    usage: exchange.usage,
    serviceTier: exchange.serviceTier,
    pricing: findPricing(exchange),
    costNanoUsd: findCostNanoUsd(exchange),
    chargedNanoUsd: exchange.chargedNanoUsd,
    partial: exchange.partial,
    firstByteMs: exchange.firstByteMs,
    totalMs: exchange.totalMs,
    responseBytes: exchange.responseBytes,
  };
}

/**
 * What the ledger is to say of an exchange that is about to be sent, if this process dies before it settles: unpriced and
 * partial, with INTERRUPTED. It charges nothing; the store charges what the reservation holds.
 */
export function rowIfLost(exchange: Exchange, principal: Principal): LedgerRow {
  return {
    ...factsOf(exchange, principal),
    status: undefined,
    errorCode: INTERRUPTED,
    upstreamRequestId: undefined,
    usage: undefined,
    serviceTier: undefined,
    pricing: 'unpriced',
    costNanoUsd: undefined,
    chargedNanoUsd: 0,
    partial: true,
    firstByteMs: undefined,
    totalMs: undefined,
    responseBytes: 0,
  };
}

/** What is known before the response. */
function factsOf(exchange: Exchange, principal: Principal) {
  const { id, startedAtMs, route, requestBytes } = exchange;
  return {
    id,
    startedAtMs,
    principal: principal.kind,
    keyId: principal.kind === 'key' ? principal.keyId : undefined,
    keyLabel: principal.label,
    service: route?.service,
    operation: route?.operation,
    region: route?.region,
    model: findModel(exchange)?.slice(0, MAX_MODEL_LENGTH),
    requestBytes,
    tags: principal.kind === 'key' ? principal.tags : {},
    userAgentFamily: findUserAgentFamily(exchange.userAgent),
  };
}
