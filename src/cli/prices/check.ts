/** `prices check`: whether a price file is right, and whether each of its entries speaks of something. */
import { resolve } from 'node:path';
import { matchesGlob } from '../../lib/glob.ts';
import { isIdentifier, parseModelName } from '../../domain/model-name.ts';
import { type PriceEntry, readPriceFile } from '../../pricing/price-file.ts';
import { readSnapshot } from '../../pricing/snapshot.ts';
import { printData, printJson } from '../../app/print.ts';

interface CheckInput {
  readonly file: string;
  readonly json: boolean;
}

/** Throws ERR_BAD_OPTION if the file cannot be read, or is wrong at some place, which is named. */
export async function checkPriceFile({ file, json }: CheckInput): Promise<void> {
  const path = resolve(file);
  const { entries, guardrailUnits } = await readPriceFile(path);
  const known = readSnapshot().models;
  const unmatched = entries.filter((entry) => !isKnown(entry, known)).map(({ pattern }) => pattern);
  const units = Object.keys(guardrailUnits ?? {}).length;
  if (json) return printJson({ file: path, entries: entries.length, guardrail_units: units, unmatched });
  const words = entries.length === 1 ? '1 entry' : `${entries.length} entries`;
  printData(`${path} is right: ${words}, ${units} guardrail units`);
  for (const pattern of unmatched) printData(`warning: ${JSON.stringify(pattern)} matches no model that is known here`);
}

/** ARNs and names of one's own cannot be known. */
function isKnown({ pattern }: PriceEntry, models: readonly string[]): boolean {
  if (pattern.startsWith('arn:')) return true;
  if (!pattern.includes('*') && !isIdentifier(pattern)) return true;
  const forms = new Set(pattern.includes('*') ? [pattern] : parseModelName(pattern).forms);
  return models.some(
    (model) => forms.has(model) || parseModelName(model).forms.some((form) => matchesGlob(pattern, form)),
  );
}
