/**
 * The inspector of a server: what keeps exchanges, if anything does, and the page with its API, which is loaded when
 * somebody first asks for it.
 */
import { randomBytes } from 'node:crypto';
import type { Config } from '../config/config.ts';
import type { InspectLimits } from '../config/inspect-options.ts';
import type { RequestSubscriber } from '../domain/events.ts';
import type { LedgerStore } from '../domain/store.ts';
import type { CaptureSwitch, InspectorHandler, InspectorOptions } from '../inspector-api/options.ts';
import type { ExchangeSource, KeptExchanges } from '../inspector/exchange.ts';
import { LedgerSource } from '../inspector/ledger-source.ts';
import type { ExchangeRecorder } from '../inspector/recorder.ts';
import type { ExchangeCaps, ExchangeRing } from '../inspector/ring.ts';
import { SwitchableSource } from '../inspector/switchable-source.ts';
import type { ExchangeWatcher } from '../inspector/watcher.ts';
import { MACHINE_TICKS } from '../lib/clock.ts';
import { ProxyError } from '../lib/errors.ts';
import { lazy } from '../lib/lazy.ts';
import { isLoopbackName } from '../lib/loopback.ts';
import type { ExchangeFile } from '../store/exchanges/exchange-file.ts';
import { printError, printTalk } from './print.ts';

/** The parts of a server that keeps exchanges, or only shows its ledger. */
export interface Inspector {
  /** Undefined: nothing is kept, and nothing is looked at. */
  readonly watcher: ExchangeWatcher | undefined;
  readonly subscriber: RequestSubscriber | undefined;
  readonly source: ExchangeSource;
  /** For the fragment of its address; undefined: the page is off. */
  readonly token: string | undefined;
  readonly capture: CaptureSwitch | undefined;
  close(): Promise<void>;
}

type InspectorConfig = Pick<
  Config,
  'inspect' | 'inspectFile' | 'inspectLimits' | 'inspectRemote' | 'inspectToken' | 'hosts' | 'workers'
>;

/** 256 bits. */
export function newInspectToken(): string {
  return randomBytes(32).toString('base64url');
}

/** Opens what keeps exchanges. Throws ERR_BAD_OPTION where it cannot be. */
export async function openInspector(config: InspectorConfig, store: LedgerStore): Promise<Inspector> {
  const isRemote = !config.hosts.every(isLoopbackName);
  if (config.inspect) refuseInspect(config, isRemote);
  const token = isRemote && !config.inspectRemote ? undefined : (config.inspectToken ?? newInspectToken());
  if (!config.inspect) return openLater(config, store, token);
  const { ExchangeRing, MEMORY_CAPS } = await import('../inspector/ring.ts');
  const { ExchangeRecorder: Keeper } = await import('../inspector/recorder.ts');
  const file = config.inspectFile === undefined ? undefined : await openFile(config.inspectFile, config.inspectLimits);
  // Beside a file, what is in memory is only on its way there, and grows no older than it may there.
  const caps =
    file === undefined ? limit(MEMORY_CAPS, config.inspectLimits) : { ...MEMORY_CAPS, maxAgeMs: file.state().maxAgeMs };
  const ring = new ExchangeRing(caps, Date.now);
  const source = file === undefined ? ring : await joinWith(ring, file);
  const recorder = new Keeper(ring, MACHINE_TICKS, {
    lastSequence: file?.lastSequence,
    maxPerSecond: config.inspectLimits.maxPerSecond,
    isBesideFile: file !== undefined,
  });
  const close = (): Promise<void> => {
    recorder.finish();
    return source.close();
  };
  const capture = switchOf(
    () => recorder,
    async () => recorder,
  );
  return { watcher: recorder, subscriber: recorder, source, token, capture, close };
}

/** Whoever says how many bytes may be kept does not mean how many exchanges. */
function limit(caps: ExchangeCaps, { maxExchanges, maxBytes, maxAgeMs }: InspectLimits): ExchangeCaps {
  return {
    maxExchanges: maxExchanges ?? (maxBytes === undefined ? caps.maxExchanges : Math.max(caps.maxExchanges, 100_000)),
    maxBytes: maxBytes ?? caps.maxBytes,
    maxAgeMs: maxAgeMs ?? caps.maxAgeMs,
  };
}

async function openFile(path: string, limits: InspectLimits): Promise<ExchangeFile> {
  const { openExchangeFile } = await import('../store/exchanges/exchange-file.ts');
  const { FILE_CAPS } = await import('../store/exchanges/caps.ts');
  return openExchangeFile(path, limit(FILE_CAPS, limits), {
    nowMs: Date.now,
    onProblem: (error) => printError(error, false),
  });
}

async function joinWith(ring: ExchangeRing, file: ExchangeFile): Promise<KeptExchanges> {
  const { JoinedSource } = await import('../inspector/joined-source.ts');
  return new JoinedSource(ring, file);
}

function refuseInspect({ workers, inspectRemote }: InspectorConfig, isRemote: boolean): void {
  if (workers > 1) {
    throw new ProxyError('ERR_BAD_OPTION', 'Exchanges are kept by one process: leave --workers out, or --inspect.');
  }
  if (!isRemote || inspectRemote) return;
  throw new ProxyError('ERR_BAD_OPTION', 'Others in the network could reach what --inspect keeps.', {
    hint: 'Listen on 127.0.0.1, or add --inspect-remote: then the token opens the page to whoever has it.',
  });
}

/** The ledger, and memory if somebody asks for it on the page; with workers, each of which sees its part, never. */
function openLater(
  { workers, inspectLimits }: InspectorConfig,
  store: LedgerStore,
  token: string | undefined,
): Inspector {
  const ledger = new LedgerSource(store);
  if (workers > 1 || token === undefined) {
    const none = { watcher: undefined, subscriber: undefined, capture: undefined };
    return { ...none, source: ledger, token, close: () => ledger.close() };
  }
  const source = new SwitchableSource(ledger);
  let recorder: ExchangeRecorder | undefined;
  const load = lazy(async () => {
    const { ExchangeRing, MEMORY_CAPS } = await import('../inspector/ring.ts');
    const { ExchangeRecorder: Keeper } = await import('../inspector/recorder.ts');
    const [last] = await store.readLedgerBackwards({}, { limit: 1 });
    const ring = new ExchangeRing(limit(MEMORY_CAPS, inspectLimits), Date.now);
    const after = last?.sequence ?? 0;
    recorder = new Keeper(ring, MACHINE_TICKS, { lastSequence: after, maxPerSecond: inspectLimits.maxPerSecond });
    recorder.isCapturing = false;
    source.keepIn(ring, after);
    return recorder;
  });
  return {
    watcher: { open: (record, clientRequest) => recorder?.open(record, clientRequest) },
    subscriber: { ended: (record) => recorder?.ended(record) },
    source,
    token,
    capture: switchOf(() => recorder, load),
    close: () => source.close(),
  };
}

/** Switches the keeping of content on and off; `find`: what keeps it, if it is there already. */
function switchOf(find: () => ExchangeRecorder | undefined, load: () => Promise<ExchangeRecorder>): CaptureSwitch {
  let untilMs: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  const end = (): void => {
    const recorder = find();
    if (recorder !== undefined) recorder.isCapturing = false;
    untilMs = undefined;
    printTalk('The inspector keeps no content any more.');
  };
  return {
    get isOn() {
      return find()?.isCapturing ?? false;
    },
    get untilMs() {
      return untilMs;
    },
    set: async (isOn, minutes) => {
      clearTimeout(timer);
      if (!isOn) return end();
      (await load()).isCapturing = true;
      untilMs = minutes === undefined ? undefined : Date.now() + minutes * 60_000;
      printTalk(`The inspector keeps content in memory${minutes === undefined ? '' : ` for ${minutes} min`}.`);
      if (minutes !== undefined) timer = setTimeout(end, minutes * 60_000).unref();
    },
  };
}

/** What the API needs beside the inspector itself. */
export type InspectorApiParts = Omit<
  InspectorOptions,
  'source' | 'token' | 'capture' | 'isRemote' | 'firstCursor' | 'nowMs'
>;

/** The handler of `/inspect`; loaded by its first request. */
export function createInspectorEndpoint(
  { source, token, capture }: Inspector,
  config: Pick<Config, 'hosts'>,
  parts: InspectorApiParts,
): InspectorHandler {
  if (token === undefined) return async (_request, clientResponse) => sendOff(clientResponse);
  const load = lazy(async () => {
    const { createInspectorHandler } = await import('../inspector-api/router.ts');
    const isRemote = !config.hosts.every(isLoopbackName);
    const firstCursor = Date.now();
    return createInspectorHandler({ ...parts, source, token, capture, isRemote, firstCursor, nowMs: Date.now });
  });
  return async (clientRequest, clientResponse) => (await load())(clientRequest, clientResponse);
}

async function sendOff(clientResponse: Parameters<InspectorHandler>[1]): Promise<void> {
  const { sendJson } = await import('../http/send-response.ts');
  const message = 'The inspector is off, because others reach this port. `--inspect-remote` switches it on.';
  const error = { message, type: 'ERR_UNKNOWN_PATH', param: null, code: '404' };
  sendJson(404, { error }, clientResponse);
}
