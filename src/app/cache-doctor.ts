/**
 * Hangs the cache doctor into the way of requests: it is told of a prompt when the request has left, so that nobody
 * waits for it, and says what it found before the ledger has the row. Loaded only if the doctor is on.
 */
import { readFile } from 'node:fs/promises';
import type { RequestRecord } from '../domain/request-record.ts';
import { CacheDoctor } from '../diagnose/cache-doctor.ts';
import { type CacheFacts, readCacheFacts } from '../diagnose/cache-facts.ts';
import { findErrorMessage, findModel } from '../domain/outcome.ts';
import type { Principal } from '../domain/principal.ts';
import type { Body } from '../http/body.ts';
import type { ExchangeListener, ExchangeWatcher } from '../inspector/watcher.ts';
import { ProxyError } from '../lib/errors.ts';
import type { ModelPrice } from '../pricing/cost.ts';

/** The doctor, and how it is told. */
export interface LiveCacheDoctor {
  readonly doctor: CacheDoctor;
  readonly watcher: ExchangeWatcher;
  /** Writes into the record what was found. Once, at its end. */
  readonly judge: (record: RequestRecord, price: ModelPrice | undefined) => void;
}

/** Operations whose prompts a model caches. */
const OPERATIONS: ReadonlySet<string> = new Set([
  'Converse',
  'ConverseStream',
  'InvokeModel',
  'InvokeModelWithResponseStream',
  'CreateMessage',
  'ChatCompletions',
  'CreateResponse',
]);

/** `factsFile`: what says otherwise than the built-in facts. Throws ERR_BAD_OPTION. */
export async function openCacheDoctor(
  factsFile: string | undefined,
  onFault: (thrown: unknown) => void,
): Promise<LiveCacheDoctor> {
  const facts = factsFile === undefined ? undefined : await readFactsFile(factsFile);
  return attachDoctor(new CacheDoctor(facts === undefined ? {} : { facts }), onFault);
}

async function readFactsFile(path: string): Promise<CacheFacts> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new ProxyError('ERR_BAD_OPTION', `--cache-facts: ${path} cannot be read.`, { cause });
  }
  return readCacheFacts(text, path);
}

/** Of a doctor that is there. */
export function attachDoctor(doctor: CacheDoctor, onFault: (thrown: unknown) => void): LiveCacheDoctor {
  /** What the doctor has not been told yet. */
  const pending = new Map<string, () => void>();
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (thrown) {
      onFault(thrown);
    }
  };
  const tell = (id: string): void => {
    const work = pending.get(id);
    pending.delete(id);
    if (work !== undefined) attempt(work);
  };
  return {
    doctor,
    watcher: { open: (record) => watch(record, { doctor, pending, tell }) },
    judge: (record, price) => {
      tell(record.id);
      attempt(() => {
        const errorMessage = findErrorMessage(record);
        record.cache = doctor.ended(record.id, {
          status: record.upstreamStatus,
          errorMessage,
          usage: record.usage,
          price,
        });
      });
    },
  };
}

interface Telling {
  readonly doctor: CacheDoctor;
  readonly pending: Map<string, () => void>;
  readonly tell: (id: string) => void;
}

function watch(record: RequestRecord, { doctor, pending, tell }: Telling): ExchangeListener {
  const { id } = record;
  let body: Body | undefined;
  const onSent = (): void => {
    const sentBody = body;
    const { operation, region = '' } = record.route ?? {};
    if (sentBody === undefined || !OPERATIONS.has(operation ?? '')) return;
    const scope = { model: findModel(record) ?? '', region, upstream: record.upstream ?? '' };
    const sentAtMs = Date.now();
    pending.set(id, () => {
      const bytes = Buffer.concat(sentBody.chunks);
      doctor.sent({ id, caller: nameCaller(record.principal), scope, operation, body: bytes, sentAtMs });
    });
    setImmediate(() => tell(id));
  };
  return {
    onBody: (read) => {
      if (!isWorthLooking(read)) return false;
      body = read;
      return undefined;
    },
    onSent,
    onHead: () => {
      tell(id);
      doctor.begun(id, Date.now());
    },
    onOver: () => {
      body = undefined;
    },
  };
}

/** No model caches so little, and nothing asks for it; most requests of some programs are like that. */
const MIN_BYTES = 1024;
const MARKERS = ['cachePoint', 'cache_control', 'prompt_cache'] as const;

function isWorthLooking({ chunks, sizeBytes, spool }: Body): boolean {
  if (spool !== undefined) return false;
  return sizeBytes >= MIN_BYTES || MARKERS.some((word) => chunks.some((chunk) => chunk.includes(word)));
}

function nameCaller(principal: Principal | undefined): string {
  return principal?.kind === 'key' ? principal.keyId : (principal?.kind ?? '');
}
