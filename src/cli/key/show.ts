/**
 * `key list` and `key show`: reads only, and makes no database where there is none.
 */
import { describeBudget } from '../../keys/budget.ts';
import { execLabel, isExecKey } from '../../keys/exec-key.ts';
import { maskKey } from '../../keys/secret.ts';
import { type DatabaseLocation, readDatabaseLocation } from '../../config/database-location.ts';
import type { KeyInput, KeyNameInput } from './input.ts';
import type { KeySpend } from '../../domain/budget.ts';
import type { VirtualKeyRow } from '../../domain/key.ts';
import { formatUsd } from '../../lib/usd.ts';
import { clip, formatAge } from '../../lib/format.ts';
import { withExistingStore } from '../../app/open-store.ts';
import { tellMissingDatabase } from '../missing-database.ts';
import { findUsedPercent, formatBudgetBar, paintBudgetBar } from './budget-bar.ts';
import { withKey } from './find-row.ts';
import { describeKey, keyToJson, shortState } from './row.ts';
import { findKeyState } from '../../keys/state.ts';
import {
  colorsFor,
  formatFields,
  formatTable,
  printData,
  printJson,
  printTalk,
  terminalWidth,
} from '../../app/print.ts';

const HEADER = ['id', 'alias', 'key', 'state', 'spent', 'budget', 'used', 'last used'];
const USED_COLUMN = HEADER.indexOf('used');
/** Left out where the terminal has no room for it: people know a key by its alias. `key show` and JSON have it all. */
const SPARE_COLUMNS = ['key', 'id', 'last used', 'used'];
/** Keeps the table within 100 columns without a terminal, too. */
const MAX_ALIAS_WIDTH = 18;
const ENDED_STATES: ReadonlySet<string> = new Set(['revoked', 'expired']);
const NO_SPEND: KeySpend = { totalNanoUsd: 0, windowNanoUsd: 0, reservedNanoUsd: 0, resetsAtMs: undefined };

/** `key list`: prints the keys that are not deleted. Throws ERR_STORE_UNAVAILABLE. */
export async function runList(input: KeyInput & { readonly all: boolean }): Promise<void> {
  const nowMs = Date.now();
  const database = readDatabaseLocation(input, process.env);
  const found = await withExistingStore(database, async (store) => {
    const all = await store.listKeys();
    const rows = input.all ? all : all.filter((row) => !isEndedExecKey(row, nowMs));
    return { rows, hidden: all.length - rows.length, spends: await store.findSpend(rows, nowMs) };
  });
  const { rows = [], hidden = 0, spends = new Map<string, KeySpend>() } = found ?? {};
  const spendOf = ({ id }: VirtualKeyRow): KeySpend => spends.get(id) ?? NO_SPEND;
  if (input.json) {
    tellMissingDatabase(input, process.env);
    return printJson(rows.map((row) => keyToJson(row, spendOf(row), nowMs)));
  }
  if (rows.length === 0) printTalk(`${describeEmpty(database, found)} \`bedrock-proxy key generate\` makes one.`);
  else printData(formatRows(rows, spendOf, nowMs));
  if (hidden > 0)
    printTalk(`${hidden} ended ${hidden === 1 ? 'key of exec is' : 'keys of exec are'} left out; --all lists them.`);
}

/** Whoever mistyped the path of a database sees it here. */
function describeEmpty({ shown }: DatabaseLocation, found: object | undefined): string {
  return found === undefined ? `There is no database at ${shown} yet.` : `There are no keys in ${shown} yet.`;
}

function isEndedExecKey(row: VirtualKeyRow, nowMs: number): boolean {
  return isExecKey(row) && ENDED_STATES.has(findKeyState(row, nowMs));
}

function formatRows(rows: readonly VirtualKeyRow[], spendOf: (row: VirtualKeyRow) => KeySpend, nowMs: number): string {
  const usedOf = (row: VirtualKeyRow): number | undefined => findUsedPercent(row.policy.budget, spendOf(row));
  const cells = rows.map((row) => [
    row.id,
    clip(nameForPeople(row), MAX_ALIAS_WIDTH),
    maskKey(row.lastFour),
    shortState(row, nowMs),
    formatUsd(spendOf(row).windowNanoUsd),
    describeBudget(row.policy.budget),
    formatBudgetBar(usedOf(row)),
    formatAge(row.lastUsedAtMs, nowMs),
  ]);
  const colors = colorsFor(process.stdout);
  const width = terminalWidth();
  // Without any budget the column would say nothing, and a bar is for people.
  const hasUsed = width !== undefined && rows.some(({ policy }) => policy.budget !== undefined);
  const keepUsed = (row: readonly string[]): readonly string[] =>
    hasUsed ? row : row.filter((_, column) => column !== USED_COLUMN);
  const ended = new Set(rows.flatMap((row, index) => (ENDED_STATES.has(findKeyState(row, nowMs)) ? [index] : [])));
  return formatTable(keepUsed(HEADER), cells.map(keepUsed), {
    right: new Set(['spent']),
    width,
    spare: SPARE_COLUMNS,
    paint: (line, index) => {
      const row = rows[index];
      return ended.has(index) || row === undefined ? colors.dim(line) : paintBudgetBar(line, usedOf(row), colors);
    },
  });
}

function nameForPeople({ alias, execCommand }: VirtualKeyRow): string {
  return execCommand === undefined ? (alias ?? '-') : execLabel(execCommand);
}

/** `key show`. Throws ERR_BAD_REQUEST if there is no such key, and ERR_STORE_UNAVAILABLE. */
export async function runShow(input: KeyNameInput): Promise<void> {
  const nowMs = Date.now();
  const { row, spend } = await withKey(readDatabaseLocation(input, process.env), input.key, async (found, store) => {
    const spends = await store.findSpend([found], nowMs);
    return { row: found, spend: spends.get(found.id) ?? NO_SPEND };
  });
  if (input.json) return printJson(keyToJson(row, spend, nowMs));
  printData(formatFields(describeKey(row, spend, nowMs)));
}
