/**
 * A room of admission as the program builds it: the real tables, prices, rates and (where it is asked for) a real
 * database. Requests come in as method, path and body, and go through the real routing.
 */
import { monotonicClock } from '../../src/lib/clock.ts';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import { parseTarget } from '../../src/http/target.ts';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Admission, type AdmissionDependencies, admit } from '../../src/admission/admit.ts';
import { createRateLimits, type LocalRateLimits } from '../../src/admission/rates.ts';
import type { HeaderPair } from '../../src/http/message.ts';
import type { Principal } from '../../src/domain/principal.ts';
import type { PriceBook } from '../../src/pricing/cost.ts';
import { loadPrices } from '../../src/pricing/price-book.ts';
import { findRoute } from '../../src/routing/route.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import type { KeyPolicy } from '../../src/domain/key.ts';
import type { LedgerRow } from '../../src/domain/ledger.ts';
import type { Store } from '../../src/domain/store.ts';
import { aLedgerRow } from '../helpers/store-rows.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

export const HAIKU = 'anthropic.claude-haiku-4-5-20251001-v1:0';

/** One request; what is absent is a Converse call to Haiku with the smallest body. */
export interface Asked {
  readonly method?: string;
  readonly path?: string;
  /** An object is sent as JSON. */
  readonly body?: object | Buffer;
  readonly headers?: readonly HeaderPair[];
  readonly policy?: Partial<KeyPolicy>;
  readonly principal?: Principal;
  readonly signal?: AbortSignal;
}

export interface Admitting {
  ask(asked?: Asked): Promise<Admission>;
  readonly clock: { nowMs: number };
  readonly rates: LocalRateLimits;
  readonly prices: PriceBook;
  /** Identifiers of application inference profiles that were asked for, with their region. */
  readonly lookups: string[];
  /** By identifier; undefined cannot be told. */
  readonly profiles: Map<string, readonly string[]>;
  readonly lastRow: () => LedgerRow | undefined;
  /** Ids of requests whose money was reserved after their client had left. */
  readonly late: readonly string[];
}

/** Prices are the built-in ones, and before them those of `priceFile`. */
export async function openAdmitting(
  options: { store?: Pick<Store, 'reserve'>; priceFile?: object; assumedOutputTokens?: number } = {},
): Promise<Admitting> {
  const clock = { nowMs: Date.UTC(2026, 10, 1) };
  const rates = createRateLimits({ tickMs: monotonicClock(() => clock.nowMs) });
  const prices = await loadBook(options.priceFile);
  const lookups: string[] = [];
  const profiles = new Map<string, readonly string[]>();
  let lastRow: LedgerRow | undefined;
  let serial = 0;
  const late: string[] = [];
  const store: AdmissionDependencies['store'] = {
    reserve: (reservation) => {
      lastRow = reservation.ifLost;
      return options.store?.reserve(reservation) ?? Promise.reject(new Error('this test has no database'));
    },
  };
  const findProfilesFor: AdmissionDependencies['findProfilesFor'] = () => async (identifier, region) => {
    lookups.push(`${identifier} ${region}`);
    return profiles.get(identifier);
  };
  const dependencies = {
    store,
    prices,
    rates,
    nowMs: () => clock.nowMs,
    findProfilesFor,
    maxUnpackedBytes: 20_000_000,
    assumedOutputTokens: options.assumedOutputTokens,
  };
  return {
    ask: (asked = {}) => {
      const bytes = bytesOf(asked.body ?? {});
      const headers = asked.headers ?? [];
      const route = findRoute({
        method: asked.method ?? 'POST',
        target: parseTarget(asked.path ?? `/model/${HAIKU}/converse`),
        scope: undefined,
        headers,
        mountPath: '',
        config: {
          defaultRegion: 'us-east-1',
          openaiUpstream: 'runtime',
          fips: false,
          dualstack: false,
          endpointUrls: new Map(),
        },
      });
      const policy = { ...EMPTY_POLICY, ...asked.policy };
      const principal = asked.principal ?? { kind: 'key', keyId: 'vk_a', label: 'a', policy, tags: {} };
      serial += 1;
      const requestId = `exchange-${serial}`;
      const body = { chunks: bytes.length === 0 ? [] : [bytes], sizeBytes: bytes.length };
      return admit(
        {
          requestId,
          principal,
          route,
          headers,
          body,
          ifLost: () => aLedgerRow({ id: requestId, startedAtMs: clock.nowMs }),
          signal: asked.signal ?? new AbortController().signal,
          onLateReservation: () => late.push(requestId),
        },
        dependencies,
      );
    },
    clock,
    rates,
    prices,
    lookups,
    profiles,
    lastRow: () => lastRow,
    late,
  };
}

export async function openDatabase(): Promise<Store> {
  const folder = await makeTemporaryFolder();
  const store = await openSqliteStore(join(folder, 'keys.db'));
  onTestFinished(() => store.close());
  return store;
}

async function loadBook(priceFile: object | undefined): Promise<PriceBook> {
  if (priceFile === undefined) return loadPrices({ priceFile, refreshedFile: undefined, warn: () => {} });
  const folder = await makeTemporaryFolder();
  const path = join(folder, 'prices.json');
  await writeFile(path, JSON.stringify(priceFile));
  return loadPrices({ priceFile: path, refreshedFile: undefined, warn: () => {} });
}

function bytesOf(body: object | Buffer): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
}
