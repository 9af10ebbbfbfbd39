/**
 * Rows for tests of the store: keys, ledger rows and reservations with everything a test does not name.
 */
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { Budget, NewVirtualKeyRow } from '../../src/domain/key.ts';
import type { LedgerRow } from '../../src/domain/ledger.ts';
import type { NewReservation } from '../../src/domain/budget.ts';

let serial = 0;

/** A key without limits. Every call gives another one. */
export function aKeyRow(fields: Partial<NewVirtualKeyRow> = {}): NewVirtualKeyRow {
  serial += 1;
  return {
    id: `vk_${serial}`,
    alias: undefined,
    keySha256: `hash-${serial}`,
    lastFour: 'wxyz',
    accessKeyId: `BRPX${serial}`,
    sealedKey: Buffer.from([1, 2, 3]),
    createdAtMs: 1_700_000_000_000 + serial,
    expiresAtMs: undefined,
    policy: EMPTY_POLICY,
    tags: {},
    note: undefined,
    metadata: {},
    ...fields,
  };
}

/** A request of a key that cost a thousand nano-dollars. Every call gives another id. */
export function aLedgerRow(fields: Partial<LedgerRow> = {}): LedgerRow {
  serial += 1;
  return {
    id: `exchange-${serial}`,
    requests: 1,
    startedAtMs: 1_700_000_000_000,
    principal: 'key',
    keyId: 'vk_a',
    keyLabel: 'a',
    service: 'bedrock-runtime',
    operation: 'Converse',
    region: 'us-east-1',
    upstream: undefined,
    attempts: undefined,
    model: 'amazon.nova-lite-v1:0',
    modelAlias: undefined,
    inferenceProfile: undefined,
    source: undefined,
    fault: undefined,
    cacheVerdict: undefined,
    cacheLostNanoUsd: undefined,
    status: 200,
    errorCode: undefined,
    errorMessage: undefined,
    method: undefined,
    path: undefined,
    upstreamRequestId: undefined,
    usage: undefined,
    serviceTier: undefined,
    pricing: 'priced',
    priceSource: undefined,
    session: undefined,
    agent: undefined,
    costNanoUsd: 1_000,
    chargedNanoUsd: 1_000,
    partial: false,
    firstByteMs: undefined,
    totalMs: undefined,
    requestBytes: 0,
    responseBytes: 0,
    tags: {},
    userAgent: undefined,
    ...fields,
  };
}

/** A budget without windows. */
export function aBudget(limitNanoUsd: number, windows: Partial<Budget> = {}): Budget {
  return { limitNanoUsd, windowMs: undefined, anchorMs: 0, ...windows };
}

/** Money reserved for `id` of the key `vk_a`; its row in the ledger, should it be lost, has the same id. */
export function aReservation(
  fields: Partial<Omit<NewReservation, 'ifLost'>> & { readonly amountNanoUsd: number; readonly budget: Budget },
): NewReservation {
  serial += 1;
  const reservation = { id: `exchange-${serial}`, keyId: 'vk_a', nowMs: 1_000, ...fields };
  const { id, keyId, nowMs: startedAtMs } = reservation;
  return {
    ...reservation,
    ifLost: aLedgerRow({ id, keyId, startedAtMs, status: undefined, costNanoUsd: undefined, chargedNanoUsd: 0 }),
  };
}
