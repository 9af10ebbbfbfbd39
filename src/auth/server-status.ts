/**
 * What a running proxy tells `status` and `stop`, which have proved to hold the secret of its database (see
 * `server-proof.ts`), and how that is read off JSON. Never a secret.
 */

/** How a proxy is, and what it did since it started. */
export interface ServerStatus {
  /** The process that signals are for. */
  readonly pid: number;
  readonly version: string;
  /** As people give it to their clients. */
  readonly url: string;
  /** Who may call: anybody on this machine, whoever has a key, or the master key too. */
  readonly mode: 'open' | 'keys' | 'master';
  readonly offline: boolean;
  readonly region: string | undefined;
  readonly database: string;
  /** How many processes share the port. */
  readonly workers: number;
  readonly startedAtMs: number;
  /** Requests to Bedrock that are over, and those that are not. */
  readonly requests: number;
  readonly inFlight: number;
  readonly costNanoUsd: number;
  /** Requests whose price is unknown; they are not in the cost. */
  readonly unpriced: number;
}

const MODES: readonly unknown[] = ['open', 'keys', 'master'] satisfies readonly ServerStatus['mode'][];
const COUNTS = ['pid', 'workers', 'startedAtMs', 'requests', 'inFlight', 'costNanoUsd', 'unpriced'] as const;
const TEXTS = ['version', 'url', 'database'] as const;

/** The status in a response; undefined if it is of another shape, as that of another version may be. */
export function parseServerStatus(value: unknown): ServerStatus | undefined {
  return isServerStatus(value) ? value : undefined;
}

function isServerStatus(value: unknown): value is ServerStatus {
  if (typeof value !== 'object' || value === null) return false;
  const fields: Readonly<Partial<Record<keyof ServerStatus, unknown>>> = value;
  const { pid, region, offline } = fields;
  return (
    TEXTS.every((name) => typeof fields[name] === 'string') &&
    COUNTS.every((name) => typeof fields[name] === 'number' && Number.isFinite(fields[name])) &&
    // 0 and negative numbers stand for groups of processes where signals are sent.
    Number.isSafeInteger(pid) &&
    Number(pid) > 1 &&
    (region === undefined || typeof region === 'string') &&
    typeof offline === 'boolean' &&
    MODES.includes(fields.mode)
  );
}
