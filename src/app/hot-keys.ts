/**
 * The hot keys of `start`: what somebody who looks at its lines reaches for, by one key. They run commands of this
 * program, in this process, on its database; they end it as Ctrl-C does. With workers, the primary has them.
 */
import { nameDatabase } from '../config/database-location.ts';
import type { DatabaseLocation } from '../config/database-location.ts';
import { MACHINE_TICKS } from '../lib/clock.ts';
import type { Config } from '../config/config.ts';
import { toProxyError } from '../lib/errors.ts';
import { hasKeyboard, isInForeground, type Keyboard, openKeyboard } from './keyboard.ts';
import { withExistingStore } from './open-store.ts';
import { colorsFor, printError, printTalk } from './print.ts';

/** Runs a command of this program, given by its arguments. Prints what is wrong; never rejects. */
export type RunCommand = (args: readonly string[]) => Promise<void>;

/** The hot keys of a server, before it listens. */
export interface HotKeys {
  /** To be said below the banner. */
  readonly line: string;
  /** From now on keys are obeyed. `showOnlyErrors`: whether lines of requests that went well are left out. */
  open(port: number, showOnlyErrors: (isOn: boolean) => void): Promise<Keyboard>;
}

const HELP = `
  h  this help
  u  what was used since the start
  k  a new key, shown once, and on the clipboard
  i  the inspector: its page, in the browser
  e  only the lines of requests that failed; once more for all
  c  clear the screen
  q  quit, as Ctrl-C does
`;
const FIRST_KEY = 'This would be the first key: every call would need one. k once more makes it.';
const CONFIRM_MS = 5_000;
/** The screen, what was scrolled off it, and the cursor to the top. */
const CLEAR = '\u001B[2J\u001B[3J\u001B[H';

/** The hot keys, if somebody sits at this terminal; undefined if not, and with `--quiet`. */
export async function findHotKeys(config: Config, runCommand: RunCommand): Promise<HotKeys | undefined> {
  if (config.quiet || !hasKeyboard(process.env) || !(await isInForeground())) return undefined;
  const line = colorsFor(process.stderr).dim(
    '  h help · u usage · k new key · i inspect · e only errors · c clear · q quit',
  );
  return {
    line: `${line}\n`,
    open: (port, showOnlyErrors) => {
      const obey = createObeyer({ config, port, runCommand, showOnlyErrors, line });
      return openKeyboard({ onKey: obey });
    },
  };
}

interface ObeyerParts {
  readonly config: Config;
  readonly port: number;
  readonly runCommand: RunCommand;
  readonly showOnlyErrors: (isOn: boolean) => void;
  readonly line: string;
}

function createObeyer({ config, port, runCommand, showOnlyErrors, line }: ObeyerParts): (key: string) => void {
  const startedAt = new Date().toISOString();
  const { database, masterKey } = config;
  const makesFirstKey = createFirstKeyGuard(database, masterKey !== undefined);
  let isBusy = false;
  let isOnlyErrors = false;
  const work = async (task: () => Promise<void>): Promise<void> => {
    if (isBusy) return;
    isBusy = true;
    await task().catch((thrown: unknown) => printError(toProxyError(thrown), false));
    isBusy = false;
  };
  const keys: Readonly<Record<string, () => unknown>> = {
    h: () => printTalk(HELP),
    u: () =>
      work(() => runCommand(['usage', '--since', startedAt, '--by', 'key,model', '--db', nameDatabase(database)])),
    k: () =>
      work(async () => {
        if (await makesFirstKey()) return printTalk(FIRST_KEY);
        await runCommand(['key', 'generate', '--copy', '--db', nameDatabase(database)]);
      }),
    i: () => work(() => runCommand(['inspect', '--port', String(port)])),
    e: () => {
      showOnlyErrors((isOnlyErrors = !isOnlyErrors));
      printTalk(isOnlyErrors ? 'Only requests that fail are shown; e shows all again.' : 'All requests are shown.');
    },
    c: () => {
      process.stdout.write(CLEAR);
      printTalk(line);
    },
    q: () => process.emit('SIGINT', 'SIGINT'),
    '\r': () => process.stdout.write('\n'),
  };
  return (key) => void keys[key.toLowerCase()]?.();
}

/** A slip of the finger must not lock out whoever calls without a key: it is asked for twice. */
function createFirstKeyGuard(database: DatabaseLocation, hasMasterKey: boolean): () => Promise<boolean> {
  let askedAtTick: number | undefined;
  return async () => {
    const isAsked = askedAtTick !== undefined && MACHINE_TICKS() - askedAtTick < CONFIRM_MS;
    askedAtTick = undefined;
    if (isAsked || hasMasterKey) return false;
    const hasKeys = await withExistingStore(database, (store) => store.hasAnyKey());
    if (hasKeys !== true) askedAtTick = MACHINE_TICKS();
    return hasKeys !== true;
  };
}
