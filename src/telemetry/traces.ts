/**
 * Optional: spans of OpenTelemetry for every exchange, sent in batches to the owner's collector. They are made when the
 * exchange is over, from its own times; a collector that is slow or away costs spans, never a request, and is told of
 * once. The libraries are loaded only when this is opened; who wants traces installs them. `span.ts` says what a span
 * says.
 */
import { findCode } from '../lib/errno.ts';
import { within } from '../lib/deadline.ts';
import type { HrTime, Tracer } from '@opentelemetry/api';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import { ProxyError } from '../lib/errors.ts';
import type { RequestRecord } from '../domain/request-record.ts';
import { parseTraceparent } from '../http/traceparent.ts';
import { describeRequest, describeUpstream, isFailedSpan, nameSpan } from './span.ts';

/** How long the end waits for the last spans to leave. */
const CLOSE_TIMEOUT_MS = 2_000;
/** Longer than any value that means something. */
const MAX_VALUE_LENGTH = 1_024;
/** What to install for traces: optional peer dependencies of this package, in the versions it is tested with. */
export const TRACE_PACKAGES = [
  '@opentelemetry/api@1.10',
  '@opentelemetry/exporter-trace-otlp-http@0.301',
  '@opentelemetry/resources@3.1',
  '@opentelemetry/sdk-trace@3.1',
];

/** Environment variables by name. */
type Environment = Readonly<Record<string, string | undefined>>;
type OnProblem = (error: ProxyError) => void;

/** Where traces go, and what they say of the sender. */
export interface TraceOptions {
  /** Looked at before anything is loaded. The libraries read the process's own environment besides. */
  readonly environment: Environment;
  /** Of the proxy: `service.version`. */
  readonly version: string;
  /** Told when spans begin to get lost, and again only after some got through. Must not throw. */
  readonly onProblem: OnProblem;
}

/** Makes a trace of each request that has ended. */
export interface Traces {
  /** Makes the spans of a finished exchange. Never throws. */
  observe(record: RequestRecord): void;
  /** Sends what waits, for at most two seconds. Never rejects. */
  close(): Promise<void>;
}

/** Whether the environment names a collector for traces and does not switch OpenTelemetry off. */
export function areTracesConfigured(environment: Environment): boolean {
  if (environment['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true') return false;
  if (environment['OTEL_TRACES_EXPORTER']?.trim().toLowerCase() === 'none') return false;
  return findEndpoint(environment) !== undefined;
}

/**
 * Loads the libraries and opens the way to the collector; to be called only where `areTracesConfigured`. Spans leave as
 * JSON over HTTP (OTLP). The libraries read from the process's environment: endpoints, `_HEADERS`, `_TIMEOUT`,
 * `_COMPRESSION` and certificates of `OTEL_EXPORTER_OTLP`, `OTEL_SERVICE_NAME` (bedrock-proxy by default) and
 * `OTEL_RESOURCE_ATTRIBUTES`. What cannot be used of them goes to `onProblem`, as do libraries that are not installed,
 * and there are no traces: such variables are often meant for other programs.
 */
export async function openTraces({ environment, version, onProblem }: TraceOptions): Promise<Traces> {
  const problem = findProblem(environment);
  const libraries = problem === undefined ? await loadLibraries() : undefined;
  if (libraries === undefined) {
    onProblem(problem ?? missingLibraries());
    return { observe: () => {}, close: async () => {} };
  }
  const provider = openProvider(libraries, version, onProblem);
  const tracer = provider.getTracer('bedrock-proxy', version);
  return {
    observe: (record) => {
      try {
        makeSpans(record, tracer, libraries.api);
      } catch (cause) {
        onProblem(new ProxyError('ERR_INTERNAL', 'A trace could not be made.', { cause }));
      }
    },
    close: async () => void (await within(CLOSE_TIMEOUT_MS, provider.shutdown()).catch(() => {})),
  };
}

type Libraries = NonNullable<Awaited<ReturnType<typeof loadLibraries>>>;

function openProvider({ sdk, otlp, resources }: Libraries, version: string, onProblem: OnProblem) {
  const detectors = [resources.resourceAttributesEnvDetector, resources.serviceNameEnvDetector];
  const resource = resources
    .defaultResource()
    .merge(resources.resourceFromAttributes({ 'service.name': 'bedrock-proxy', 'service.version': version }))
    .merge(resources.detectResources({ detectors }));
  const exporter = tellProblems(new otlp.OTLPTraceExporter(), onProblem);
  return new sdk.TracerProvider({
    resource,
    spanProcessors: [new sdk.BatchSpanProcessor({ exporter })],
    spanLimits: { attributeValueLengthLimit: MAX_VALUE_LENGTH },
  });
}

/** One span for the request and, below it, one for what AWS did. */
function makeSpans(
  record: RequestRecord,
  tracer: Tracer,
  { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace }: Libraries['api'],
): void {
  const { startedAtMs, sentMs, firstByteMs, totalMs = 0 } = record;
  const at = (ms: number): HrTime => toHrTime(startedAtMs + ms);
  const status = { code: isFailedSpan(record) ? SpanStatusCode.ERROR : SpanStatusCode.UNSET };
  const parent = parseTraceparent(record.traceparent);
  const outside =
    parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true });
  const whole = { kind: SpanKind.SERVER, startTime: at(0), attributes: describeRequest(record) };
  const span = tracer.startSpan(nameSpan(record), whole, outside).setStatus(status);
  if (sentMs !== undefined) {
    const part = { kind: SpanKind.CLIENT, startTime: at(sentMs), attributes: describeUpstream(record) };
    const { service = 'aws', operation = record.method } = record.route ?? {};
    const child = tracer.startSpan(`${service}.${operation}`, part, trace.setSpan(outside, span)).setStatus(status);
    if (firstByteMs !== undefined) child.addEvent('first_byte', at(firstByteMs));
    child.end(at(Math.max(totalMs, sentMs)));
  }
  span.end(at(totalMs));
}

/** Undefined if one of them is not installed. */
async function loadLibraries() {
  try {
    const [api, sdk, otlp, resources] = await Promise.all([
      import('@opentelemetry/api'),
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
    ]);
    return { api, sdk, otlp, resources };
  } catch (error) {
    if (findCode(error) === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

function missingLibraries(): ProxyError {
  return new ProxyError('ERR_BAD_OPTION', "There are no traces: OpenTelemetry's packages are not installed.", {
    hint: `Beside bedrock-proxy (with -g if it is installed so): npm install ${TRACE_PACKAGES.join(' ')}`,
  });
}

function findEndpoint(environment: Environment): string | undefined {
  const names = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'];
  return names.map((name) => environment[name]?.trim()).find((value) => value !== undefined && value !== '');
}

/** The exporter would take its default for what it does not understand, and send to a place that nobody named. */
function findProblem(environment: Environment): ProxyError | undefined {
  const endpoint = findEndpoint(environment) ?? '';
  const protocol =
    environment['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL']?.trim() || environment['OTEL_EXPORTER_OTLP_PROTOCOL']?.trim();
  if (protocol === 'grpc') {
    return new ProxyError('ERR_BAD_OPTION', 'There are no traces: the proxy does not speak gRPC to a collector.', {
      hint:
        'Set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json, and OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, often ' +
        'port 4318.',
    });
  }
  if (/^https?:\/\//i.test(endpoint) && URL.canParse(endpoint)) return undefined;
  return new ProxyError('ERR_BAD_OPTION', 'There are no traces: the endpoint of the OTLP collector is no HTTP URL.', {
    hint: 'Set OTEL_EXPORTER_OTLP_ENDPOINT to one such as http://localhost:4318.',
  });
}

/** An exporter that says once that the collector does not take spans, and again after it took some. */
function tellProblems(exporter: SpanExporter, onProblem: OnProblem): SpanExporter {
  let isTroubled = false;
  return {
    export: (spans, onResult) =>
      exporter.export(spans, (result) => {
        const isFailed = result.code !== 0;
        if (isFailed && !isTroubled) onProblem(lostSpans(result.error));
        isTroubled = isFailed;
        onResult(result);
      }),
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  };
}

/** Says nothing that the collector said: its words may hold anything. */
function lostSpans(cause: Error | undefined): ProxyError {
  const code = findCode(cause) === undefined ? '' : `(${findCode(cause)}) `;
  return new ProxyError('ERR_UPSTREAM_UNREACHABLE', `The OTLP collector ${code}does not take traces: they are lost.`, {
    hint: 'Check OTEL_EXPORTER_OTLP_ENDPOINT. Requests are not affected.',
  });
}

/**
 * OpenTelemetry takes small numbers for times since the process began; a pair of seconds and nanoseconds is what it
 * says.
 */
function toHrTime(epochMs: number): HrTime {
  const seconds = Math.floor(epochMs / 1_000);
  return [seconds, Math.floor((epochMs - seconds * 1_000) * 1_000_000)];
}
