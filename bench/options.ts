/**
 * What `npm run bench` is asked to do.
 */
import { parseArgs } from 'node:util';
import type { Effort } from './rounds.ts';

/** What a run may measure. */
export const PARTS = ['cases', 'streams', 'start-up', 'stages', 'ledger', 'workers', 'inspect', 'postgres'] as const;
/** One of them. */
export type Part = (typeof PARTS)[number];

/** As `--help` prints it. */
export const HELP = `Usage: npm run bench -- [options]
  --quick                fewer and shorter rounds: two minutes instead of about ten
  --json                 print one JSON object instead of tables
  --only <part>          ${PARTS.join(', ')}; may be repeated
  --case <text>          only the load cases whose name holds this text
  --rounds <number>      rounds of every load case
  --workers <number>     how many share the port in the part of that name; 2 if it is not given
  --stream-seconds <n>   how long the 200 streams of the proxy run
  --profile              instead: where the processor time of one load case goes, and a CPU profile
  --peers                instead: other gateways beside this one, installed into a cache folder if need be`;

/** All decided. */
export interface Options {
  readonly task: 'measure' | 'profile' | 'peers';
  readonly json: boolean;
  readonly parts: readonly Part[];
  readonly caseFilter: string;
  readonly effort: Effort;
  readonly streams: { readonly seconds: number; readonly comparedSeconds: number };
  readonly idleStreams: { readonly rounds: number; readonly count: number };
  readonly startUpRounds: number;
  readonly stagePassMs: number;
  readonly ledger: { readonly keys: number; readonly rows: number; readonly requests: number };
  readonly profileMs: number;
  readonly workers: number;
}

/** Undefined if help is asked for. Throws if an option is unknown. */
export function readOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', short: 'h' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      case: { type: 'string', default: '' },
      rounds: { type: 'string' },
      workers: { type: 'string', default: '2' },
      'stream-seconds': { type: 'string' },
      profile: { type: 'boolean', default: false },
      peers: { type: 'boolean', default: false },
    },
  });
  if (values.help === true) return undefined;
  const { quick, only } = values;
  return {
    task: values.profile ? 'profile' : values.peers ? 'peers' : 'measure',
    json: values.json,
    parts: only === undefined ? PARTS : PARTS.filter((part) => only.includes(part)),
    caseFilter: values.case,
    effort: {
      rounds: Number(values.rounds ?? (quick ? 3 : 7)),
      slotMs: quick ? 200 : 700,
      warmUpMs: quick ? 300 : 1_000,
    },
    streams: {
      seconds: Number(values['stream-seconds'] ?? (quick ? 4 : 20)),
      comparedSeconds: quick ? 2 : 5,
    },
    idleStreams: quick ? { rounds: 1, count: 300 } : { rounds: 3, count: 1_000 },
    startUpRounds: quick ? 3 : 7,
    stagePassMs: quick ? 50 : 200,
    ledger: quick
      ? { keys: 10_000, rows: 100_000, requests: 4_000 }
      : { keys: 100_000, rows: 1_000_000, requests: 20_000 },
    profileMs: quick ? 2_000 : 8_000,
    workers: Number(values.workers),
  };
}
