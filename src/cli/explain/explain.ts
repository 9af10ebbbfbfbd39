/** `explain`: finds what is meant (a row of the ledger, a text, a file), and says what is known of it. */
import { readFileSync, type Stats, statSync } from 'node:fs';
import { text as readAll } from 'node:stream/consumers';
import { withExistingStore } from '../../app/open-store.ts';
import { readDatabaseLocation } from '../../config/database-location.ts';
import { findSetting, type Flags } from '../../config/options.ts';
import { type ErrorFacts, explainError, type FoundExplanation } from '../../diagnose/explain.ts';
import { isObject } from '../../lib/json.ts';
import { ProxyError } from '../../lib/errors.ts';
import { escapeUnprintable, printable } from '../../lib/printable.ts';

interface ExplainInput extends Flags {
  readonly what: string;
  readonly model: string | undefined;
  readonly json: boolean;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const MAX_FILE_BYTES = 1024 * 1024;
const TELL_US = 'Please tell us of it, with the text of the error: it may become an entry.';

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Ends with exit code 1 if nothing is known of it. Throws ERR_BAD_OPTION and ERR_STORE_UNAVAILABLE. */
export async function printExplanation(input: ExplainInput): Promise<void> {
  const facts = { ...(await readFacts(input)), ...(input.model === undefined ? {} : { model: input.model }) };
  const found = explainError(facts);
  if (found === undefined) process.exitCode = 1;
  if (input.json) {
    return print(escapeUnprintable(JSON.stringify({ error: describe(facts), explanation: found ?? null })));
  }
  const said = [facts.type, facts.message].filter((part) => part !== undefined && part !== '');
  print(printable(said.join(': '), 2_000));
  if (found === undefined) return print(`\nNothing is known of this error. ${TELL_US}`);
  for (const line of formatExplanation(found)) print(line);
}

function formatExplanation({ entry, cause, steps, link, retry, checked }: FoundExplanation): readonly string[] {
  return [
    '',
    printable(cause, 2_000),
    ...steps.map((step) => `  - ${printable(step, 2_000)}`),
    '',
    RETRY[retry],
    ...(link === null ? [] : [`See ${link}`]),
    ...(checked === '' ? [] : [`(${entry}, checked ${checked})`]),
  ];
}

const RETRY = {
  never: 'To send it again cannot help.',
  later: 'It may go through if it is sent again later.',
  'after-fix': 'It goes through once that is mended.',
};

function describe({ status, type, message, operation, region, model }: ErrorFacts): Readonly<Record<string, unknown>> {
  return {
    status: status ?? null,
    type: type ?? null,
    message: message ?? null,
    operation: operation ?? null,
    region: region ?? null,
    model: model ?? null,
  };
}

async function readFacts(input: ExplainInput): Promise<ErrorFacts> {
  const region = findSetting('region', input, process.env)?.value;
  if (input.what === '-') return { region, ...readText(await readAll(process.stdin)) };
  if (UUID.test(input.what)) return findRequest(input);
  if (isFile(input.what)) return { region, ...readText(readFileSync(input.what, 'utf8')) };
  return { region, ...readText(input.what) };
}

async function findRequest(input: ExplainInput): Promise<ErrorFacts> {
  const database = readDatabaseLocation(input, process.env);
  const rows = await withExistingStore(database, (store) =>
    store.readLedgerBackwards({ id: input.what }, { limit: 1 }),
  );
  const row = rows?.[0];
  if (row === undefined) {
    throw new ProxyError('ERR_BAD_OPTION', `There is no request ${input.what} in the ledger.`, {
      hint: '`bedrock-proxy logs --status 4xx` shows those that failed; --db names another ledger.',
    });
  }
  if (row.errorCode === undefined && (row.status ?? 0) < 400) {
    throw new ProxyError('ERR_BAD_OPTION', `The request ${input.what} went well: there is nothing to explain.`);
  }
  const { status, errorCode: type, errorMessage: message, operation, service, region, model } = row;
  return { status, type, message, operation, service, region, model };
}

function isFile(path: string): boolean {
  const found = findEntry(path);
  if (found?.isFile() !== true) return false;
  if (found.size <= MAX_FILE_BYTES) return true;
  throw new ProxyError('ERR_BAD_OPTION', `${path} is larger than an error: 1 MB at most.`);
}

/** Undefined also of a text that cannot be a path: one too long, or with a NUL in it. */
function findEntry(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** JSON as AWS and SDKs have it, lines as tools print them, or bare text. */
function readText(text: string): ErrorFacts {
  const bare = text.trim();
  const fromJson = readJson(bare);
  if (fromJson !== undefined) return fromJson;
  const [, type, operation, message] =
    /An error occurred \((\w+)\) when calling the (\w+) operation(?: \([^)]*\))?: (.*)/s.exec(bare) ?? [];
  if (type !== undefined) return { type, operation, message };
  const [, name, rest] = /^([A-Za-z_]*(?:Exception|Error|_error)|ERR_[A-Z_]+):\s*(.*)$/s.exec(bare) ?? [];
  return name === undefined ? { message: bare } : { type: name, message: rest };
}

function readJson(text: string): ErrorFacts | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const json: unknown = JSON.parse(text);
    if (!isObject(json)) return undefined;
    const inner = isObject(json['error']) ? json['error'] : json;
    const type = [json['__type'], inner['type'], inner['code'], json['code']].find((each) => typeof each === 'string');
    const message = inner['message'] ?? inner['Message'];
    if (typeof message !== 'string') return undefined;
    return { type: typeof type === 'string' && type !== 'error' ? type : undefined, message };
  } catch {
    return undefined;
  }
}
