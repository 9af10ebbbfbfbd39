/** The reference tables that come straight from the program's own: options, errors, operations, the ledger. */
import { jsonTypeOf, LEDGER_COLUMNS } from '../../src/domain/ledger-columns.ts';
import { OPTION_NAMES, OPTIONS, type OptionSpec } from '../../src/config/options.ts';
import { nameInFile } from '../../src/config/files.ts';
import { ERROR_KINDS } from '../../src/lib/errors.ts';
import { type Operation, OPERATIONS, SERVICES } from '../../src/operations/catalog.ts';
import { renderCode, renderTable } from './markdown.ts';

/** Statuses that the AWS SDKs send again by themselves. */
const RETRIED = [408, 429, 500, 502, 503, 504];
/** Never sent as a response: told on the terminal or in the log. */
const NEVER_SENT: readonly string[] = ['ERR_BAD_OPTION', 'ERR_ADDRESS_IN_USE', 'ERR_CLIENT_GONE'];

/** The flags of `start`. */
export function renderOptions(): string {
  const rows = Object.values<OptionSpec>(OPTIONS).map((option) => [
    renderCode(option.flag),
    renderCode(option.default ?? ''),
    option.env.map(renderCode).join(', '),
    option.description + (option.repeatable === true ? '; may be given more than once' : ''),
  ]);
  return renderTable(['flag', 'default', 'variables', 'meaning'], rows);
}

/** What the configuration file of a project may set. */
export function renderProjectOptions(): string {
  const names = OPTION_NAMES.filter((name) => (OPTIONS[name] as OptionSpec).inProject === true);
  return names.map((name) => renderCode(nameInFile(name))).join(', ');
}

/** The same by variable, for readers of a `.env` file. */
export function renderVariables(): string {
  const rows = Object.values<OptionSpec>(OPTIONS).flatMap(({ env, flag }) =>
    env.map((name) => [renderCode(name), renderCode(flag)]),
  );
  return renderTable(
    ['variable', 'sets'],
    rows.toSorted(([one = ''], [other = '']) => (one < other ? -1 : 1)),
  );
}

/** One row per code, linked to its section. */
export function renderErrors(): string {
  const rows = Object.entries(ERROR_KINDS).map(([code, { status, awsType, fault }]) => {
    const isSent = !NEVER_SENT.includes(code);
    return [`[\`${code}\`](#${code.toLowerCase()})`, isSent ? String(status) : '', isSent ? awsType : '', fault];
  });
  return renderTable(['code', 'status', 'type', 'who can mend it'], rows);
}

/** The line in italics below each `## ERR_...` heading of a page. */
export function renderErrorFacts(page: string): string {
  return page.replaceAll(/^(## (ERR_\w+)\n\n)(?:_.*_\n\n)?/gm, (_, heading: string, code: string) => {
    if (!isErrorCode(code)) throw new Error(`there is no error ${code}`);
    const { status, awsType, fault } = ERROR_KINDS[code];
    const retry = RETRIED.includes(status) ? 'SDKs try again' : 'SDKs do not try again';
    const sent = NEVER_SENT.includes(code) ? 'never sent to a client' : `${status} ${awsType} · ${retry}`;
    return `${heading}_${sent} · fault: ${fault}_\n\n`;
  });
}

function isErrorCode(code: string): code is keyof typeof ERROR_KINDS {
  return code in ERROR_KINDS;
}

/** The fields of a request in the ledger, as JSON has them. */
export function renderLedgerFields(): string {
  const rows = LEDGER_COLUMNS.map((column) => {
    const type = column.isRequired ? jsonTypeOf(column) : `${jsonTypeOf(column)} or null`;
    return [renderCode(column.name), type, column.description];
  });
  return renderTable(['field', 'type', 'meaning'], rows);
}

/** One row per service. */
export function renderServices(): string {
  const rows = [...SERVICES.values()].map((service) => {
    const operations = operationsOf(service.id);
    return [
      renderCode(service.id),
      String(operations.filter(({ name }) => name !== undefined).length),
      service.plane,
      service.signingName,
      service.bearerKeys ? 'yes' : 'no',
    ];
  });
  return renderTable(['service', 'operations', 'plane', 'signed as', 'takes bearer tokens'], rows);
}

/** The names of all operations, folded away per service. */
export function renderOperations(): string {
  return [...SERVICES.values()]
    .map(({ id }) => ({ id, names: new Set(operationsOf(id).flatMap(({ name }) => name ?? [])) }))
    .filter(({ names }) => names.size > 0)
    .map(({ id, names }) => `### ${id}\n\n${[...names].toSorted().join(', ')}`)
    .join('\n\n');
}

function operationsOf(id: string): Operation[] {
  return OPERATIONS.filter(({ service }) => service.id === id);
}
