/**
 * Requests that were refused before they were admitted: they cost nothing to send, so they must cost next to nothing to
 * keep. The first few of a caller in a minute have a row each, with all that a row says; of the others, those with the
 * same error in ten seconds have one row together, which says how many they were. No I/O; the timer is its own.
 */
import type { LedgerRow } from '../domain/ledger.ts';

/** Rows of one caller in one minute that stand for one request each. */
const MAX_SINGLE_ROWS = 5;
const PERIOD_MS = 60_000;
/** A process that is killed takes with it what was refused in so much time. */
const DELAY_MS = 10_000;
/** Longer names of models are none that AWS serves; a refused request may hold anything in its place. */
const MAX_REFUSED_MODEL_LENGTH = 256;

/** State: who has been refused in this minute, and what waits to be written. */
export class Refusals {
  readonly #write: (row: LedgerRow) => void;
  /** By caller: its rows so far. */
  readonly #singles = new Map<string, number>();
  /** By caller and error. */
  readonly #sums = new Map<string, LedgerRow>();
  #period: NodeJS.Timeout | undefined;
  #delay: NodeJS.Timeout | undefined;

  /** `write` gets the rows that stand for several requests, ten seconds after the first of them. */
  constructor(write: (row: LedgerRow) => void) {
    this.#write = write;
  }

  /** The row to write for this request; undefined if it is counted in one that comes later. */
  add(refused: LedgerRow): LedgerRow | undefined {
    const row = { ...refused, model: refused.model?.slice(0, MAX_REFUSED_MODEL_LENGTH) };
    this.#period ??= setTimeout(() => this.#endPeriod(), PERIOD_MS).unref();
    const caller = row.keyId ?? row.principal;
    const singles = this.#singles.get(caller) ?? 0;
    if (singles < MAX_SINGLE_ROWS) {
      this.#singles.set(caller, singles + 1);
      return row;
    }
    this.#delay ??= setTimeout(() => this.#writeSums(), DELAY_MS).unref();
    const name = `${row.errorCode ?? ''} ${caller}`;
    const sum = this.#sums.get(name);
    this.#sums.set(name, sum === undefined ? row : addUp(sum, row));
    return undefined;
  }

  /** Writes what waits, and begins another minute. */
  flush(): void {
    this.#writeSums();
    this.#endPeriod();
  }

  #endPeriod(): void {
    clearTimeout(this.#period);
    this.#period = undefined;
    this.#singles.clear();
  }

  #writeSums(): void {
    clearTimeout(this.#delay);
    this.#delay = undefined;
    const rows = [...this.#sums.values()];
    this.#sums.clear();
    for (const row of rows) this.#write(row);
  }
}

type MayDiffer =
  | 'service'
  | 'operation'
  | 'region'
  | 'model'
  | 'modelAlias'
  | 'inferenceProfile'
  | 'status'
  | 'userAgent'
  | 'session'
  | 'agent'
  | 'errorMessage'
  | 'method'
  | 'path';

/** Id and time are those of the first; what differs is unknown. */
function addUp(sum: LedgerRow, row: LedgerRow): LedgerRow {
  const same = <Name extends MayDiffer>(name: Name) => (sum[name] === row[name] ? sum[name] : undefined);
  return {
    ...sum,
    requests: sum.requests + row.requests,
    service: same('service'),
    operation: same('operation'),
    region: same('region'),
    model: same('model'),
    modelAlias: same('modelAlias'),
    inferenceProfile: same('inferenceProfile'),
    status: same('status'),
    userAgent: same('userAgent'),
    session: same('session'),
    agent: same('agent'),
    errorMessage: same('errorMessage'),
    method: same('method'),
    path: same('path'),
    tags: sum.tags === row.tags ? sum.tags : sharedTags(sum.tags, row.tags),
    totalMs: undefined,
    requestBytes: sum.requestBytes + row.requestBytes,
    responseBytes: sum.responseBytes + row.responseBytes,
  };
}

function sharedTags(left: LedgerRow['tags'], right: LedgerRow['tags']): LedgerRow['tags'] {
  return Object.fromEntries(Object.entries(left).filter(([name, value]) => right[name] === value));
}
