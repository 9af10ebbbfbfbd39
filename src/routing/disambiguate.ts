/**
 * Decides between operations that share a method and a path: by the client's credential scope, by its user agent, by
 * the ARN in the path, by the operator's configuration; if none of them decides, the body does. Pure.
 */
import { decodeSegment, parseArn } from '../protocol/arn.ts';
import { JsonPaths } from '../protocol/json-paths.ts';
import { JsonScanner } from '../protocol/json-scan.ts';
import { type Operation, OPERATIONS, type ServiceId } from '../operations/catalog.ts';
import type { RequestHints } from './request-hints.ts';

/** Which host serves `/openai/**` and `/anthropic/**` for a client whose credentials do not say. */
export type OpenaiUpstream = 'runtime' | 'mantle';

/**
 * How a body decides: `tagged-arn` by the ARN in its `resourceARN`, `lost-slash` by being empty or not, `openai-prefix`
 * by its model.
 */
export type BodyRule = 'tagged-arn' | 'lost-slash' | 'openai-prefix';

/** An operation that was chosen, and the other one if the body may still decide. */
export interface Choice {
  readonly operation: Operation;
  /** What it is instead if the body says so. */
  readonly otherwise:
    | {
        readonly rule: BodyRule;
        readonly operation: Operation;
        /** If the other way has another path. */
        readonly path?: string;
      }
    | undefined;
}

interface Circumstances {
  /** The raw path that matched. */
  readonly path: string;
  readonly hints: RequestHints;
  readonly openaiUpstream: OpenaiUpstream;
}

/** Resource types in ARNs of service `bedrock` that belong to bedrock-data-automation (patterns of its API model). */
const DATA_AUTOMATION_TYPES: ReadonlySet<string> = new Set([
  'blueprint',
  'blueprint-optimization-invocation',
  'data-automation-project',
  'data-automation-library',
  'data-automation-library-ingestion-job',
]);

/** Beyond this a tagging body is not looked at: AWS's own limit for such a call is far lower. */
const TAGGING_BODY_LIMIT_BYTES = 1_048_576;

const TAGGED_ARN = new JsonPaths(['resourceARN']);

/** PrepareAgent's agent ids, in AWS's model `[0-9a-zA-Z]{10}`. */
const AGENT_ID_SHAPE = /^\/agents\/[0-9a-zA-Z]{10}$/;

const PREPARE_AGENT = findByName('bedrock-agent', 'PrepareAgent');

/** Chooses among the candidates of `matchOperations`; undefined if there are none. */
export function disambiguate(candidates: readonly Operation[], circumstances: Circumstances): Choice | undefined {
  const [first] = candidates;
  if (first === undefined) return undefined;
  if (candidates.length === 1) return { operation: first, otherwise: findLostSlash(first, circumstances) };
  const { scope, clientOf } = circumstances.hints;
  const bySignature = narrow(candidates, ({ service }) => service.signingName === scope?.service);
  const byClient = narrow(bySignature, ({ service }) => service.id === clientOf);
  const [left = first] = byClient;
  if (byClient.length === 1) return { operation: left, otherwise: undefined };
  if (left.template.startsWith('/openai/') || left.template.startsWith('/anthropic/')) {
    return pickByService(byClient, `bedrock-${circumstances.openaiUpstream}`);
  }
  if (left.template.includes('{')) return pickByService(byClient, findArnOwner(circumstances.path));
  const other = byClient.find(({ service }) => service.id === 'bedrock-data-automation');
  if (other === undefined) return { operation: left, otherwise: undefined };
  const main = byClient.find(({ service }) => service.id === 'bedrock') ?? left;
  return { operation: main, otherwise: { rule: 'tagged-arn', operation: other } };
}

/** Whether a body takes the other way. `body` is the complete body; what cannot be read takes the main way. */
export function bodyTakesOtherWay(rule: Exclude<BodyRule, 'openai-prefix'>, body: Uint8Array): boolean {
  switch (rule) {
    case 'lost-slash':
      return body.length === 0;
    case 'tagged-arn':
      return body.length <= TAGGING_BODY_LIMIT_BYTES && namesDataAutomation(body);
    default:
      return rule satisfies never;
  }
}

/**
 * `POST /agents/{agentId}/` is PrepareAgent and `POST /agents/{sessionId}` InvokeInlineAgent. They differ by the slash
 * alone: if it is missing, an empty body after an agent id shows that something in between lost it.
 */
function findLostSlash(operation: Operation, { path, hints }: Circumstances): Choice['otherwise'] {
  if (operation.name !== 'InvokeInlineAgent' || hints.clientOf === operation.service.id) return undefined;
  return AGENT_ID_SHAPE.test(path) ? { rule: 'lost-slash', operation: PREPARE_AGENT } : undefined;
}

function narrow(candidates: readonly Operation[], test: (operation: Operation) => boolean): readonly Operation[] {
  const kept = candidates.filter(test);
  return kept.length > 0 ? kept : candidates;
}

/**
 * The candidate of that service, else the one of bedrock-agent (which owns every ARN that no other service owns), else
 * the first.
 */
function pickByService(candidates: readonly Operation[], id: ServiceId): Choice | undefined {
  const [first] = candidates;
  if (first === undefined) return undefined;
  const operation =
    candidates.find(({ service }) => service.id === id) ??
    candidates.find(({ service }) => service.id === 'bedrock-agent') ??
    first;
  return { operation, otherwise: undefined };
}

/** `/tags/{resourceArn}` and `/resourcepolicy/{resourceArn}`: the service that owns the ARN in the second segment. */
function findArnOwner(path: string): ServiceId {
  const arn = parseArn(decodeSegment(path.split('/', 3)[2] ?? ''));
  if (arn?.service === 'bedrock-agentcore') return 'bedrock-agentcore-control';
  return arn?.resourceType === 'session' ? 'bedrock-agent-runtime' : 'bedrock-agent';
}

function namesDataAutomation(body: Uint8Array): boolean {
  let resourceArn: unknown;
  // Scanned, not parsed: a megabyte of nesting costs a parser 40 ms, and the caller may have no right to tag at all.
  const scanner = new JsonScanner(TAGGED_ARN, (_path, value) => (resourceArn = value));
  scanner.push(body);
  if (!scanner.finish() || typeof resourceArn !== 'string') return false;
  const arn = parseArn(resourceArn);
  return arn?.service === 'bedrock' && DATA_AUTOMATION_TYPES.has(arn.resourceType);
}

/** The operation of that name. Throws TypeError if there is none. */
export function findByName(service: ServiceId, name: string): Operation {
  const operation = OPERATIONS.find((candidate) => candidate.service.id === service && candidate.name === name);
  if (operation === undefined) throw new TypeError(`no such operation: ${service} ${name}`);
  return operation;
}
