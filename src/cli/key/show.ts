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
  const usedOf = (row: VirtualKeyRow): number | undefined => findUsedPercent(row.policy.budget, spendOf(row));
  const cells = rows.map((row) => [
    row.id,
    clip(row.alias ?? '-', MAX_ALIAS_WIDTH),
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
  printData(
    formatTable(keepUsed(HEADER), cells.map(keepUsed), {
      right: new Set(['spent']),
      width,
      spare: SPARE_COLUMNS,
      paint: (line, index) => {
        const row = rows[index];
        return ended.has(index) || row === undefined ? colors.dim(line) : paintBudgetBar(line, usedOf(row), colors);
      },
    }),
  );
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
