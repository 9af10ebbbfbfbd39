/**
 * Checks by real calls, through a proxy that is started for them in this process: the very way that clients' requests
 * take. It listens on a free loopback port, has a database of its own and lets in only this process.
 */
import { locateFile } from '../../config/database-location.ts';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, type IncomingMessage, request as openRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, MOUNT_PATH } from '../../config/config.ts';
import { openStore } from '../../app/open-store.ts';
import { openFaultBoard } from '../../app/fault-board.ts';
import { composeServer } from '../../app/compose.ts';
import { createErrorPrinter } from '../../app/print.ts';
import { explainError } from '../../diagnose/explain.ts';
import { type Meters, openMeters } from '../../app/meters.ts';
import { type CheckResult, fail, ok, skip } from './check.ts';
import type { AwsConnection } from '../../upstream/aws/connection.ts';

/** Calls the proxy as a client does. */
export interface ProxyCaller {
  /** Undefined `body`: GET. Rejects where the connection breaks. */
  call(path: string, body?: object): Promise<CallResponse>;
  /** Where it listens, with the mount, and the key that it takes. */
  readonly address: { readonly url: string; readonly key: string };
}

/** A response of the proxy, whole. */
export interface CallResponse {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** As they arrived. */
  readonly chunks: readonly Buffer[];
  readonly receivedAtMs: number;
}

/** Cheap, quick, and offered in most regions: on its own, or through the profile of its geography. */
const MODEL = 'amazon.nova-micro-v1:0';
/** Enough for several frames that AWS sends apart; a hundred thousand of such streams cost about half a dollar. */
const STREAM_TOKENS = 32;

/** Runs `work` against the proxy and takes it down again. */
export async function withProxy<T>(
  config: Config,
  connection: AwsConnection,
  region: string | undefined,
  work: (caller: ProxyCaller) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'bedrock-proxy-doctor-'));
  const database = locateFile(join(folder, 'keys.db'));
  const store = await openStore(database);
  const masterKey = `sk-${randomBytes(32).toString('base64url')}`;
  const agent = new Agent({ keepAlive: true });
  let meters: Meters | undefined;
  try {
    // A price file that is wrong has its own check.
    meters = await openMeters({ ...config, pricesFile: undefined }, store, createErrorPrinter(), () => {});
    const server = await composeServer({
      config: { ...config, hosts: ['127.0.0.1'], port: 0, masterKey, database },
      defaultRegion: region,
      store,
      ...meters,
      faults: await openFaultBoard({ ...config, faults: [] }),
      connection,
      version: 'doctor',
      subscribers: [],
      onFault: () => {},
    });
    try {
      const address = { url: `http://127.0.0.1:${server.port}${MOUNT_PATH}`, key: masterKey };
      return await work({
        address,
        call: (path, body) => send({ port: server.port, key: masterKey, agent, path, body }),
      });
    } finally {
      await server.drain(0);
    }
  } finally {
    agent.destroy();
    await meters?.close();
    await store.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The control plane, free of charge. With AWS's clock minus ours, by the response's date. */
export async function checkListing(
  caller: ProxyCaller,
): Promise<{ readonly result: CheckResult; readonly skewMs: number | undefined }> {
  const response = await caller.call('/foundation-models');
  const dateMs = Date.parse(response.headers.date ?? '');
  const isAws = response.headers['x-bedrock-proxy-error'] === undefined;
  const skewMs = isAws && !Number.isNaN(dateMs) ? dateMs - response.receivedAtMs : undefined;
  if (response.status !== 200) return { result: describeFailure('list-models', response), skewMs };
  const { modelSummaries } = JSON.parse(textOf(response)) as { modelSummaries?: readonly { modelId?: string }[] };
  const count = modelSummaries?.length ?? 0;
  const hasModel = modelSummaries?.some(({ modelId }) => modelId === MODEL) === true;
  const words = `${count} foundation models${hasModel ? `, ${MODEL} among them` : `, without ${MODEL}`}`;
  return { result: ok('list-models', words), skewMs };
}

/** One token from a small model; the model that answered is used for the stream too. */
export async function checkConverse(
  caller: ProxyCaller,
  region: string,
): Promise<{ readonly result: CheckResult; readonly model: string | undefined }> {
  let response: CallResponse | undefined;
  for (const model of [MODEL, `${geographyOf(region)}.${MODEL}`]) {
    response = await caller.call(`/model/${encodeURIComponent(model)}/converse`, question('Hi', 1));
    if (response.status === 200) {
      return { result: ok('converse', `${model} answered in ${latencyOf(response)}`), model };
    }
    // "Invocation … with on-demand throughput isn't supported", or no such model here: the profile may do.
    if (response.status !== 400 && response.status !== 404) break;
  }
  const result = response === undefined ? skip('converse', 'no model') : describeFailure('converse', response);
  return { result, model: undefined };
}

/** An event stream that arrives as it is made, not all at once. */
export async function checkStream(caller: ProxyCaller, model: string | undefined): Promise<CheckResult> {
  if (model === undefined) return skip('stream', 'converse did not work');
  const path = `/model/${encodeURIComponent(model)}/converse-stream`;
  const response = await caller.call(path, question('Count from one to twenty in words.', STREAM_TOKENS));
  if (response.status !== 200) return describeFailure('stream', response);
  const exception = /:exception-type[^A-Za-z]+([A-Za-z]+)/.exec(textOf(response))?.[1];
  if (exception !== undefined) return fail('stream', `broke off with ${exception}`, 'Try again; AWS ended the stream.');
  const count = response.chunks.length;
  if (count > 1) return ok('stream', `arrived in ${count} chunks`);
  const hint = 'Something between here and AWS holds answers back: a forward proxy, a virus scanner, a VPN.';
  return fail('stream', 'arrived in one piece', hint);
}

function question(text: string, maxTokens: number): object {
  return { messages: [{ role: 'user', content: [{ text }] }], inferenceConfig: { maxTokens } };
}

/** The geography in front of a cross-region profile's id. */
function geographyOf(region: string): string {
  if (region.startsWith('us-gov-')) return 'us-gov';
  const start = region.slice(0, 2);
  return start === 'ap' ? 'apac' : start === 'ca' ? 'us' : start;
}

function latencyOf(response: CallResponse): string {
  const { metrics } = JSON.parse(textOf(response)) as { metrics?: { latencyMs?: number } };
  return metrics?.latencyMs === undefined ? 'time' : `${metrics.latencyMs} ms`;
}

/** Why a response is none that was hoped for, and what to do about it if anybody knows. */
export function explainFailure(response: CallResponse): { readonly words: string; readonly hint: string | undefined } {
  const type = String(response.headers['x-amzn-errortype'] ?? '').split(':')[0] ?? '';
  const message =
    /"[Mm]essage"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(Buffer.concat(response.chunks).toString('utf8'))?.[1] ?? '';
  const ours = response.headers['x-bedrock-proxy-error'];
  // Our own errors end in what to do already.
  const who = ours === undefined ? `AWS answers ${response.status} ${type}` : String(ours);
  const hint = ours === undefined ? findHint(response.status, type, message) : undefined;
  return { words: `${who}: ${message.slice(0, 300)}`, hint };
}

/** What the explainer knows; of what it does not know, what is true of the type as a whole. */
function findHint(status: number, type: string, message: string): string | undefined {
  const found = explainError({ status, type: type === '' ? undefined : type, message });
  if (found !== undefined) return [found.cause, ...found.steps.slice(0, 1)].join(' ');
  return HINTS.find(([pattern]) => pattern.test(`${type} ${message}`))?.[1];
}

/** A response that is no success, as a check that failed. */
export function describeFailure(name: string, response: CallResponse): CheckResult {
  const { words, hint } = explainFailure(response);
  return fail(name, words, hint);
}

const HINTS: readonly (readonly [pattern: RegExp, hint: string])[] = [
  [
    /model access|don't have access to the model/i,
    'Ask for access to the model in the Bedrock console of this region.',
  ],
  [/AccessDenied/, "The IAM policy of these credentials, or an organisation's, forbids it: allow bedrock:* for this."],
  [/ExpiredToken|UnrecognizedClient|InvalidSignature/, 'Renew the credentials; see the check `credentials`.'],
  [/Throttling|ServiceQuota/, 'Wait a little; the quota of the account is used up.'],
  [/ValidationException|ResourceNotFound/, 'The model is not offered here: try another --region.'],
];

function textOf({ chunks }: CallResponse): string {
  return Buffer.concat(chunks).toString('latin1');
}

/** A request, and where to send it. */
export interface Sending {
  /** 127.0.0.1 if not given. */
  readonly host?: string;
  readonly port: number;
  readonly key: string;
  readonly agent: Agent;
  readonly path: string;
  readonly body: object | undefined;
}

/** Sends it and reads the whole response. Rejects where the connection breaks. */
export function send({ host = '127.0.0.1', port, key, agent, path, body }: Sending): Promise<CallResponse> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    const method = body === undefined ? 'GET' : 'POST';
    const options = { host, port, path: `${MOUNT_PATH}${path}`, method, headers, agent };
    const outgoing = openRequest(options, (response) => {
      const receivedAtMs = Date.now();
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, chunks, receivedAtMs }),
      );
    });
    outgoing.once('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
