/**
 * A database for the bench of the store, as it is after a quarter of a year: keys with limits and without, and a row
 * for every request they made. Written past the store's interface, which would take minutes.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { EMPTY_POLICY } from '../src/keys/limits.ts';
import { connect, type Connection } from '../src/store/sqlite/connection.ts';
import { insertKey, prepareKeys } from '../src/store/sqlite/keys.ts';
import { insertLedgerRow, prepareLedger } from '../src/store/sqlite/ledger.ts';
import type { KeyPolicy, NewVirtualKeyRow } from '../src/domain/key.ts';
import type { LedgerRow } from '../src/domain/ledger.ts';

export const DAYS = 90;
export const DAY_MS = 86_400_000;
/** The end of the rows. */
export const NOW_MS = Date.UTC(2026, 0, 1);

const MODELS = Array.from({ length: 20 }, (_, index) => `us.anthropic.claude-sonnet-${index}-20250929-v1:0`);
const OPERATIONS = ['Converse', 'ConverseStream', 'InvokeModel', 'InvokeModelWithResponseStream'];

/** Every limit there is, none of which a bench reaches. */
const ALL_LIMITS: KeyPolicy = {
  models: ['anthropic.*', 'amazon.nova-*'],
  scope: 'default',
  regions: ['us-*', 'eu-*'],
  upstreams: [],
  budget: { limitNanoUsd: 1e15, windowMs: DAY_MS, anchorMs: NOW_MS - DAY_MS },
  allowUnpriced: false,
  requestsPerMinute: 1e9,
  tokensPerMinute: 1e12,
  maxParallel: 1_000,
  modelAliases: {},
  profile: undefined,
  roleArn: undefined,
  inferenceProfiles: {},
};

/**
 * The hashes of the keys that were made: every second one has all limits, beginning with the first, the others none.
 */
export function fillDatabase(path: string, size: { readonly keys: number; readonly rows: number }): string[] {
  const connection = connect(path);
  const keys = Array.from({ length: size.keys }, (_, index) => aKey(index));
  connection.atomically(() => {
    const statements = prepareKeys(connection);
    for (const key of keys) insertKey(statements, key);
  });
  withoutIndexes(connection, () => {
    const ledger = prepareLedger(connection);
    for (let index = 0; index < size.rows; index += 1) {
      const startedAtMs = NOW_MS - Math.round(((size.rows - index) / size.rows) * DAYS * DAY_MS);
      insertLedgerRow(ledger, aRow(pick(keys), index, startedAtMs), null);
    }
  });
  connection.database.pragma('wal_checkpoint(TRUNCATE)');
  connection.database.close();
  return keys.map(({ keySha256 }) => keySha256);
}

/** Indexes are built at the end, which is many times faster than row by row. */
function withoutIndexes({ database, atomically }: Connection, work: () => void): void {
  const indexes = database
    .prepare<[], { name: string; sql: string }>(
      "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'ledger' AND sql IS NOT NULL",
    )
    .all();
  atomically(() => {
    for (const { name } of indexes) database.exec(`DROP INDEX ${name}`);
    work();
    for (const { sql } of indexes) database.exec(sql);
  });
}

function aKey(index: number): NewVirtualKeyRow {
  return {
    id: `vk_${randomBytes(8).toString('hex')}`,
    alias: `developer-${index}`,
    keySha256: randomBytes(32).toString('hex'),
    lastFour: 'wxyz',
    accessKeyId: `BRPX${randomBytes(8).toString('hex').toUpperCase()}`,
    sealedKey: randomBytes(76),
    createdAtMs: NOW_MS - DAYS * DAY_MS + index,
    expiresAtMs: undefined,
    policy: index % 2 === 0 ? ALL_LIMITS : EMPTY_POLICY,
    tags: { team: `team-${index % 50}` },
    note: undefined,
    metadata: {},
  };
}

function aRow({ id, alias, tags }: NewVirtualKeyRow, index: number, startedAtMs: number): LedgerRow {
  return {
    id: randomUUID(),
    requests: 1,
    startedAtMs,
    principal: 'key',
    keyId: id,
    keyLabel: alias ?? '',
    service: 'bedrock-runtime',
    operation: OPERATIONS[index % OPERATIONS.length],
    region: index % 3 === 0 ? 'eu-west-1' : 'us-east-1',
    upstream: undefined,
    attempts: undefined,
    model: MODELS[index % MODELS.length],
    modelAlias: undefined,
    inferenceProfile: undefined,
    source: undefined,
    fault: undefined,
    cacheVerdict: undefined,
    cacheLostNanoUsd: undefined,
    status: index % 40 === 0 ? 429 : 200,
    errorCode: undefined,
    errorMessage: undefined,
    method: undefined,
    path: undefined,
    upstreamRequestId: randomUUID(),
    usage: {
      inputTokens: 1_000 + (index % 500),
      outputTokens: 300,
      cacheReadTokens: index % 2 === 0 ? 2_000 : undefined,
    },
    serviceTier: undefined,
    pricing: 'priced',
    priceSource: 'aws',
    session: nameSession(index),
    agent: undefined,
    costNanoUsd: 7_500_000 + index,
    chargedNanoUsd: 7_500_000 + index,
    partial: false,
    firstByteMs: 350,
    totalMs: 2_400,
    requestBytes: 4_000,
    responseBytes: 3_000,
    tags,
    userAgent: 'boto3',
  };
}

/** Twenty requests each, as many as a short run of a coding agent has; none is of every tenth request. */
function nameSession(index: number): string | undefined {
  const run = Math.floor(index / 200) * 10 + (index % 10);
  return index % 10 === 9 ? undefined : `00000000-0000-4000-8000-${String(run).padStart(12, '0')}`;
}

/** One of them, by chance. */
export function pick<T>(list: readonly T[]): T {
  const item = list[Math.floor(Math.random() * list.length)];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
}
