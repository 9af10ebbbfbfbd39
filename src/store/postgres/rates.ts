/** Rates counted by the database: one function a step (`rates-schema.ts`), on connections of their own. */
import {
  RATE_LEASE_MS,
  type RateCorrection,
  type RateCounter,
  type RateSlot,
  type RateVerdict,
} from '../../admission/shared-rates.ts';
import type { RatePolicy } from '../../admission/rates.ts';
import { type Database, openDatabase, type SqlParameter, type SqlStatement } from './database.ts';

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

class PostgresRates implements RateCounter {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async enter({ keyId, request }: RateSlot, { requestsPerMinute, maxParallel }: RatePolicy): Promise<RateVerdict> {
    return this.#ask(ENTER, [keyId, request, requestsPerMinute ?? null, maxParallel ?? null, RATE_LEASE_MS]);
  }

  async addTokens(keyId: string, limit: number, tokens: number): Promise<RateVerdict> {
    return this.#ask(ADD_TOKENS, [keyId, limit, tokens]);
  }

  async leave({ keyId, request }: RateSlot, { requestSecond, tokens, tokensSecond }: RateCorrection): Promise<void> {
    await this.#database.query(LEAVE, [keyId, request, requestSecond ?? null, tokens, tokensSecond ?? null]);
  }

  async renew(slots: readonly RateSlot[]): Promise<void> {
    const [requests, keyIds] = [slots.map(({ request }) => request), slots.map(({ keyId }) => keyId)];
    await this.#database.query(RENEW, [requests, keyIds, RATE_LEASE_MS]);
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  async #ask(statement: SqlStatement, values: readonly SqlParameter[]): Promise<RateVerdict> {
    const [row] = await this.#database.query<VerdictRow>(statement, values);
    // A function with OUT parameters gives one row.
    const { kind, used, second } = row as VerdictRow;
    return kind === 'counted' ? { kind, second } : { kind, used, roomInSeconds: second };
  }
}
