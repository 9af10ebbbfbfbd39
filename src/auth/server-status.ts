/**
 * What a running proxy tells `status` and `stop`, which have proved to hold the secret of its database (see
 * `server-proof.ts`), and how that is read off JSON. Never a secret.
 */

/** One of several upstreams, as `/health/readiness` tells it too. */
export interface ServerUpstream {
  readonly name: string;
  readonly region: string | undefined;
  /** `resting`: it throttled or could not be reached; `models`: some of its models did. */
  readonly state: 'ready' | 'resting' | 'models';
  readonly inFlight: number;
  /** Until it is tried again. */
  readonly restMs: number;
}

/** How a database that is shared is, as the process that responds sees it, and the rows of all of them. */
export interface StoreStatus {
  /** For how long it has not responded; undefined if it did when it was asked last. */
  readonly awayForMs?: number | undefined;
  /** Rows that wait in files until it takes them. */
  readonly spilledRows: number;
  readonly lostRows: number;
}

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
  /** Of a database that is shared; undefined: it is a file. */
  readonly store?: StoreStatus | undefined;
  /** How many processes share the port. */
  readonly workers: number;
  readonly startedAtMs: number;
  /** Requests to Bedrock that are over, and those that are not. */
  readonly requests: number;
  readonly inFlight: number;
  readonly costNanoUsd: number;
  /** Requests whose price is unknown; they are not in the cost. */
  readonly unpriced: number;
  /** Empty: there is one, which has no name. Of several workers, those of one. */
  readonly upstreams: readonly ServerUpstream[];
}

const MODES: readonly unknown[] = ['open', 'keys', 'master'] satisfies readonly ServerStatus['mode'][];
const UPSTREAM_STATES: readonly unknown[] = ['ready', 'resting', 'models'] satisfies readonly ServerUpstream['state'][];
const COUNTS = ['pid', 'workers', 'startedAtMs', 'requests', 'inFlight', 'costNanoUsd', 'unpriced'] as const;
const TEXTS = ['version', 'url', 'database'] as const;

/** The status in a response; undefined if it is of another shape, as that of another version may be. */
export function parseServerStatus(value: unknown): ServerStatus | undefined {
  if (!isServerStatus(value)) return undefined;
  const upstreams: unknown = 'upstreams' in value ? value.upstreams : undefined;
  const store: unknown = 'store' in value ? value.store : undefined;
  return {
    ...value,
    store: isStoreStatus(store) ? store : undefined,
    upstreams: Array.isArray(upstreams) ? upstreams.filter((each) => isServerUpstream(each)) : [],
  };
}

function isServerUpstream(value: unknown): value is ServerUpstream {
  if (typeof value !== 'object' || value === null) return false;
  const { name, region, state, inFlight, restMs }: Readonly<Partial<Record<keyof ServerUpstream, unknown>>> = value;
  return (
    typeof name === 'string' &&
    (region === undefined || typeof region === 'string') &&
    UPSTREAM_STATES.includes(state) &&
    typeof inFlight === 'number' &&
    typeof restMs === 'number'
  );
}

function isStoreStatus(value: unknown): value is StoreStatus {
  if (typeof value !== 'object' || value === null) return false;
  const { awayForMs, spilledRows, lostRows }: Readonly<Partial<Record<keyof StoreStatus, unknown>>> = value;
  return [awayForMs ?? 0, spilledRows, lostRows].every((each) => typeof each === 'number');
}

function isServerStatus(value: unknown): value is Omit<ServerStatus, 'upstreams' | 'store'> {
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
