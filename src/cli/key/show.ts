/**
 * `key list` and `key show`: reads only, and makes no database where there is none.
 */
import { describeBudget } from '../../keys/budget.ts';
import { maskKey } from '../../keys/secret.ts';
import { readDatabasePath } from '../../config/config.ts';
import type { KeyInput, KeyNameInput } from './input.ts';
import type { KeySpend } from '../../domain/budget.ts';
import type { VirtualKeyRow } from '../../domain/key.ts';
import { formatUsd } from '../../lib/usd.ts';
import { clip, formatAge } from '../../lib/format.ts';
import { withExistingStore } from '../../app/open-store.ts';
import { withKey } from './find-row.ts';
import { describeKey, keyToJson, shortState } from './row.ts';
import { formatFields, formatTable, printData, printJson, printTalk, terminalWidth } from '../../app/print.ts';

const HEADER = ['id', 'alias', 'key', 'state', 'spent', 'budget', 'last used'];
/** Left out where the terminal has no room for it: people know a key by its alias. */
const SPARE_COLUMN = HEADER.indexOf('key');
/** Keeps the table within 100 columns; `key show` and JSON have all of it. */
const MAX_ALIAS_WIDTH = 18;
const NO_SPEND: KeySpend = { totalNanoUsd: 0, windowNanoUsd: 0, reservedNanoUsd: 0, resetsAtMs: undefined };

/** `key list`: prints all keys that are not deleted. Throws ERR_STORE_UNAVAILABLE. */
export async function runList(input: KeyInput): Promise<void> {
  const nowMs = Date.now();
  const found = await withExistingStore(readDatabasePath(input, process.env), async (store) => {
    const rows = await store.listKeys();
    return { rows, spends: await store.findSpend(rows, nowMs) };
  });
  const { rows = [], spends = new Map<string, KeySpend>() } = found ?? {};
  const spendOf = ({ id }: VirtualKeyRow): KeySpend => spends.get(id) ?? NO_SPEND;
  if (input.json) return printJson(rows.map((row) => keyToJson(row, spendOf(row), nowMs)));
  if (rows.length === 0) return printTalk('There are no keys yet. `bedrock-proxy key generate` makes one.');
  const cells = rows.map((row) => [
    row.id,
    clip(row.alias ?? '-', MAX_ALIAS_WIDTH),
    maskKey(row.lastFour),
    shortState(row, nowMs),
    formatUsd(spendOf(row).windowNanoUsd),
    describeBudget(row.policy.budget),
    formatAge(row.lastUsedAtMs, nowMs),
  ]);
  printData(fitTable(cells, terminalWidth()));
}

function fitTable(cells: readonly (readonly string[])[], width = Number.POSITIVE_INFINITY): string {
  const right = new Set(['spent']);
  const table = formatTable(HEADER, cells, right);
  if (table.split('\n').every((line) => line.length <= width)) return table;
  return formatTable(withoutSpare(HEADER), cells.map(withoutSpare), right);
}

function withoutSpare(row: readonly string[]): readonly string[] {
  return row.filter((_, column) => column !== SPARE_COLUMN);
}

/** `key show`. Throws ERR_BAD_REQUEST if there is no such key, and ERR_STORE_UNAVAILABLE. */
export async function runShow(input: KeyNameInput): Promise<void> {
  const nowMs = Date.now();
  const { row, spend } = await withKey(readDatabasePath(input, process.env), input.key, async (found, store) => {
    const spends = await store.findSpend([found], nowMs);
    return { row: found, spend: spends.get(found.id) ?? NO_SPEND };
  });
  if (input.json) return printJson(keyToJson(row, spend, nowMs));
  printData(formatFields(describeKey(row, spend, nowMs)));
}
