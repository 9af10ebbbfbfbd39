/** Rates counted by the database: one function a step (`rates-schema.ts`), on connections of their own. */
import {
  RATE_LEASE_MS,
  type RateCorrection,
  type RateCounter,
  type RateSlot,
  type RateVerdict,
} from '../../admission/shared-rates.ts';
import { NO_RATE_LIMITS, type RatePolicy } from '../../admission/rates.ts';
import { type Database, openDatabase, type SqlParameter, type SqlStatement } from './database.ts';
import { StepBatches } from './step-batches.ts';

/** A step takes less than a millisecond: more connections than these would only wait for each other. */
const MAX_CONNECTIONS = 4;
/** Beyond it nobody waits for the step any more. */
const STATEMENT_TIMEOUT_MS = 2_000;

const ENTER: SqlStatement = {
  name: 'rate_enter',
  text: 'SELECT kind, used, second FROM bedrock_proxy.rate_enter($1, $2, $3, $4, $5)',
};
const ADD_TOKENS: SqlStatement = {
  name: 'rate_add_tokens',
  text: 'SELECT kind, used, second FROM bedrock_proxy.rate_add_tokens($1, $2, $3)',
};
const LEAVE: SqlStatement = { name: 'rate_leave', text: 'SELECT bedrock_proxy.rate_leave($1, $2, $3, $4, $5)' };
const RENEW: SqlStatement = { name: 'rate_renew', text: 'SELECT bedrock_proxy.rate_renew($1, $2, $3)' };

interface VerdictRow {
  readonly kind: RateVerdict['kind'];
  readonly used: number;
  /** In which it was counted; or after how many there is room. */
  readonly second: number;
}

/** Rates in the database at `url`, whose schema is there. The caller closes what it returns. */
export function openPostgresRates(url: string): RateCounter {
  const options = { maxConnections: MAX_CONNECTIONS, statementTimeoutMs: STATEMENT_TIMEOUT_MS };
  return new PostgresRates(openDatabase(url, options));
}

interface Entering {
  readonly slot: RateSlot;
  readonly policy: RatePolicy;
}

interface Using {
  readonly keyId: string;
  readonly limit: number;
  readonly tokens: number;
}

interface Leaving {
  readonly slot: RateSlot;
  readonly correction: RateCorrection;
}

/** Steps of one key and, if they may be refused, one policy are taken together: they have one lock. */
class PostgresRates implements RateCounter {
  readonly #database: Database;
  readonly #entering = new StepBatches<Entering, RateVerdict>((steps) => this.#enterAll(steps));
  readonly #tokens = new StepBatches<Using, RateVerdict>((steps) => this.#addAllTokens(steps));
  readonly #leaving = new StepBatches<Leaving, void>((steps) => this.#leaveAll(steps));

  constructor(database: Database) {
    this.#database = database;
  }

  enter(slot: RateSlot, policy: RatePolicy): Promise<RateVerdict> {
    const { requestsPerMinute, maxParallel } = policy;
    return this.#entering.add(`${requestsPerMinute} ${maxParallel} ${slot.keyId}`, { slot, policy });
  }

  addTokens(keyId: string, limit: number, tokens: number): Promise<RateVerdict> {
    return this.#tokens.add(`${limit} ${keyId}`, { keyId, limit, tokens });
  }

  leave(slot: RateSlot, correction: RateCorrection): Promise<void> {
    return this.#leaving.add(slot.keyId, { slot, correction });
  }

  async renew(slots: readonly RateSlot[]): Promise<void> {
    const [requests, keyIds] = [slots.map(({ request }) => request), slots.map(({ keyId }) => keyId)];
    await this.#database.query(RENEW, [requests, keyIds, RATE_LEASE_MS]);
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  #enterAll(steps: readonly Entering[]): Promise<RateVerdict[]> {
    const requests = steps.map(({ slot }) => slot.request);
    const { requestsPerMinute, maxParallel } = steps[0]?.policy ?? NO_RATE_LIMITS;
    const keyId = steps[0]?.slot.keyId ?? '';
    return this.#ask(ENTER, [keyId, requests, requestsPerMinute ?? null, maxParallel ?? null, RATE_LEASE_MS]);
  }

  #addAllTokens(steps: readonly Using[]): Promise<RateVerdict[]> {
    const [first] = steps;
    return this.#ask(ADD_TOKENS, [first?.keyId ?? '', first?.limit ?? 0, steps.map(({ tokens }) => tokens)]);
  }

  async #leaveAll(steps: readonly Leaving[]): Promise<undefined[]> {
    await this.#database.query(LEAVE, [
      steps[0]?.slot.keyId ?? '',
      steps.map(({ slot }) => slot.request),
      steps.map(({ correction }) => correction.requestSecond ?? 0),
      steps.map(({ correction }) => correction.tokens),
      steps.map(({ correction }) => correction.tokensSecond ?? 0),
    ]);
    return [];
  }

  /** A row for each step, in their order. */
  async #ask(statement: SqlStatement, values: readonly SqlParameter[]): Promise<RateVerdict[]> {
    const rows = await this.#database.query<VerdictRow>(statement, values);
    return rows.map(({ kind, used, second }) =>
      kind === 'counted' ? { kind, second } : { kind, used, roomInSeconds: second },
    );
  }
}
