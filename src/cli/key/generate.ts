/**
 * `key generate` and `key rotate`: a key is made and shown.
 */
import { randomBytes } from 'node:crypto';
import { type MintedKey, mintKey, parseGrace, rotateKey as rotate } from '../../keys/mint.ts';
import { findNamesakes, keepWorking } from '../../keys/namesakes.ts';
import { maskKey } from '../../keys/secret.ts';
import { readSaltKey } from '../../config/config.ts';
import { nameDatabase, readDatabaseLocation } from '../../config/database-location.ts';
import type { VirtualKeyRow } from '../../domain/key.ts';
import type { Store } from '../../domain/store.ts';
import type { KeyInput, LimitInput } from './input.ts';
import { quoteForShell } from '../../lib/command-name.ts';
import { formatTime, isoTime } from '../../lib/format.ts';
import { findServerSecret } from '../../keys/server-secret.ts';
import { type KeysOutcome, type KeyWork, withKey } from './find-row.ts';
import { alsoToJson, namesOf, tellOthers } from './outcome.ts';
import { tellUnknownPatterns } from './unknown-patterns.ts';
import { withStore } from '../../app/open-store.ts';
import { detectShell, formatEvaluation } from '../env/shell-lines.ts';
import { findNarrowPatterns, type NewKeyLimits, readNewKey } from './options.ts';
import { describeLimits, limitsToJson } from './row.ts';
import { formatFields, printData, printJson, printTalk } from '../../app/print.ts';

/** A name that no shell acts on. */
const PLAIN_NAME = /^[\w.-]+$/;

interface PrintInput extends KeyInput {
  readonly quiet: boolean;
}

interface GenerateOptions extends PrintInput {
  readonly copy: boolean;
}

interface Rotation {
  readonly old: VirtualKeyRow;
  readonly minted: MintedKey;
  readonly outcome: KeysOutcome;
}

interface RotateInput extends PrintInput {
  /** Its name as for `withKey`. */
  readonly key: string;
  readonly grace: string | undefined;
}

/** `key generate`: makes a key and prints it. Throws ERR_BAD_OPTION, ERR_BAD_REQUEST and ERR_STORE_UNAVAILABLE. */
export async function runGenerate(input: LimitInput & GenerateOptions): Promise<void> {
  const nowMs = Date.now();
  const terms = readNewKey(input, nowMs);
  const database = readDatabaseLocation(input, process.env);
  const sealing = { saltKey: readSaltKey(process.env) };
  const generate = (store: Store): Promise<MintedKey> => {
    const serverSecret = findServerSecret(database, sealing.saltKey);
    return mintKey({ store, serverSecret, nowMs, randomBytes, ...terms });
  };
  const minted = await withStore(database, generate, { sealing });
  printMinted(minted, terms, input);
  if (input.copy) await copyKey(minted);
  tellNarrowPatterns(terms.policy);
  await tellUnknownPatterns(terms.policy);
}

/**
 * A new key with all that the old one has; the old one ends after `--grace`. An alias that is rotated at once leaves no
 * older key at work under it.
 */
export async function runRotate(input: RotateInput): Promise<void> {
  const graceMs = parseGrace(input.grace ?? '0s', '--grace', 'ERR_BAD_OPTION');
  const database = readDatabaseLocation(input, process.env);
  const nowMs = Date.now();
  const sealing = { saltKey: readSaltKey(process.env) };
  const rotateIn: KeyWork<Rotation> = async (row, store, name) => {
    const serverSecret = findServerSecret(database, sealing.saltKey);
    const fresh = await rotate(row, graceMs, { store, serverSecret, nowMs, randomBytes });
    const older = (await findNamesakes(row, store, nowMs)).filter(({ id }) => id !== fresh.id);
    const isEnded = name === row.alias && graceMs === 0;
    if (isEnded) for (const { id } of older) await store.revokeKey(id, nowMs);
    const reached: KeysOutcome = isEnded
      ? { rows: [row, ...older], others: [] }
      : { rows: [row], others: keepWorking(older, nowMs) };
    return { old: row, minted: fresh, outcome: reached };
  };
  const { old, minted, outcome } = await withKey(database, input.key, rotateIn, { sealing });
  const endsAtMs = nowMs + graceMs;
  printMinted(minted, old, input, { rotated: { id: old.id, ends_at: isoTime(endsAtMs) }, ...alsoToJson(outcome) });
  if (input.json || input.quiet) return;
  const end = graceMs === 0 ? 'has ended' : `works until ${formatTime(endsAtMs)}`;
  printTalk(`The old key ${old.id} (${maskKey(old.lastFour)}) ${end}.`);
  const [, ...ended] = outcome.rows;
  if (ended.length > 0) printTalk(`So ${ended.length === 1 ? 'has' : 'have'} ${namesOf(ended)}.`);
  tellOthers(outcome);
}

/** Tells of patterns that match less than was probably meant. */
export function tellNarrowPatterns(policy: NewKeyLimits['policy']): void {
  for (const pattern of findNarrowPatterns(policy)) {
    printTalk(`note: "${pattern}" matches a model of exactly that name; *${pattern}* matches all that hold it.`);
  }
}

function printMinted(minted: MintedKey, terms: NewKeyLimits, input: PrintInput, more: object = {}): void {
  if (input.json) return printJson({ ...mintedToJson(minted), ...limitsToJson(terms), ...more });
  if (input.quiet) return printData(minted.key);
  printData(
    formatFields([
      ['key', minted.key],
      ['id', minted.id],
      ...(minted.alias === undefined ? [] : [['alias', minted.alias] as const]),
      ['access_key_id', minted.accessKeyId],
      ...describeLimits(terms),
    ]),
  );
  printTalk(snippet(minted, findOtherDatabase(input)));
}

function mintedToJson(minted: MintedKey): object {
  return {
    id: minted.id,
    alias: minted.alias ?? null,
    key: minted.key,
    access_key_id: minted.accessKeyId,
    secret_access_key: minted.key,
    created_at: isoTime(minted.createdAtMs),
  };
}

/** The database, if the next command would look into another one. */
function findOtherDatabase(input: PrintInput): string | undefined {
  const database = readDatabaseLocation(input, process.env);
  const next = readDatabaseLocation({ ...input, db: undefined }, process.env);
  return nameDatabase(database) === nameDatabase(next) ? undefined : database.shown;
}

function snippet({ id, alias, accessKeyId }: MintedKey, database: string | undefined): string {
  const name = alias !== undefined && PLAIN_NAME.test(alias) ? alias : id;
  const place = database === undefined ? '' : ` --db ${quoteForShell(database)}`;
  const shell = detectShell(process.env, process.platform) ?? 'bash';
  return [
    '',
    'It is a bearer token, and the secret access key of the pair',
    `(AWS_ACCESS_KEY_ID=${accessKeyId}). To point this shell at the proxy:`,
    '',
    `  ${formatEvaluation(`bedrock-proxy env --key ${name}${place}`, shell)}`,
    '',
    'That shows the key again at any time. For the lines of other clients:',
    '`bedrock-proxy env --for CLIENT`.',
  ].join('\n');
}

async function copyKey({ key }: MintedKey): Promise<void> {
  const { copyText } = await import('./clipboard.ts');
  const isCopied = await copyText(key);
  printTalk(
    isCopied
      ? 'The key is on the clipboard.'
      : 'note: The key was not copied: there is no clipboard, or no program for it.',
  );
}
