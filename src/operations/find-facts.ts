/**
 * Finds what is known of an operation: its row completed by defaults, which are careful, so that an operation without a
 * row looks neither free nor harmless. Pure.
 */
import type { ModelFields, OperationFacts, OperationRow, ServiceRows } from './facts.ts';
import { ROWS } from './rows.ts';

/** Operations that begin with one of these words cost nothing, if their row does not say otherwise. */
const FREE_WORDS =
  /^(?:BatchDelete|BatchGet|Cancel|CheckIngested|Count|Delete|Deregister|Disassociate|Export|Get|List|Stop|Tag|Untag|Validate)(?=[A-Z])/;

/** Only what runs or buys a model there, or decides which one will run, has a row that says so. */
const CONTROL_PLANES = ['bedrock', 'bedrock-agent', 'bedrock-agentcore-control', 'bedrock-data-automation'];

const NO_MODEL: ModelFields = { kind: 'none', paths: [], isOptional: true };
/** Tools of other makers may bring a model, and most new APIs name theirs like this. */
const UNKNOWN_MODEL: ModelFields = { kind: 'unknown', paths: ['model', 'tools[].model'], isOptional: false };
const MODEL_IN_PATH: ModelFields = { kind: 'path', paths: ['tools[].model'], isOptional: false };

const DEFAULTS: OperationFacts = {
  usage: 'unreported',
  models: UNKNOWN_MODEL,
  response: undefined,
  limits: undefined,
  serving: undefined,
  medium: 'text',
  media: undefined,
  isRepeatable: false,
  genAi: undefined,
};

/** Every row, by service and name. Throws a TypeError at import if an operation has two. */
export const OPERATION_ROWS: ReadonlyMap<string, ReadonlyMap<string, OperationRow>> = new Map(
  Object.entries(ROWS).map(([service, rows]) => [service, indexRows(service, rows)]),
);

const FACTS = new Map(
  [...OPERATION_ROWS].map(([service, rows]) => [
    service,
    new Map([...rows].map(([name, row]) => [name, completeRow(service, name, row)])),
  ]),
);

/**
 * What is known of an operation, by AWS's name. Undefined, or a name without a row: its cost is unknown and, on a data
 * plane, so is the model it runs; `hasPathModel` says that its URL names one (bedrock-runtime's `/model/{id}/…`).
 */
export function findFacts(service: string, operation: string | undefined, hasPathModel = false): OperationFacts {
  const known = operation === undefined ? undefined : FACTS.get(service)?.get(operation);
  if (known !== undefined) return known;
  const models = hasPathModel ? MODEL_IN_PATH : UNKNOWN_MODEL;
  return operation === undefined ? { ...DEFAULTS, models } : completeRow(service, operation, {}, models);
}

/** Of AgentCore's Identity and payments, to which go API keys, client secrets and users' tokens. */
const TAKES_CREDENTIALS = /^(?:Create|Update)\w*CredentialProvider$|TokenAuth$|^RotatePaymentConnector/;

/** Whether request or response are credentials themselves, so that nobody keeps them. */
export function carriesCredentials({
  effect,
  operation = '',
}: {
  readonly effect?: string | undefined;
  readonly operation?: string | undefined;
}): boolean {
  return effect === 'secret' || TAKES_CREDENTIALS.test(operation);
}

function completeRow(service: string, name: string, row: OperationRow, unknown = UNKNOWN_MODEL): OperationFacts {
  const usage = FREE_WORDS.test(name) ? 'free' : 'unreported';
  const models = CONTROL_PLANES.includes(service) ? NO_MODEL : unknown;
  const { routes: _routes, effect: _effect, ...facts } = row;
  return { ...DEFAULTS, usage, models, ...facts };
}

function indexRows(service: string, rows: ServiceRows): Map<string, OperationRow> {
  const index = new Map<string, OperationRow>();
  for (const [names, row] of rows) {
    for (const name of names.split(/\s+/)) {
      if (name === '-') continue;
      if (index.has(name)) throw new TypeError(`${service} ${name} has two rows`);
      index.set(name, row);
    }
  }
  return index;
}
