/**
 * A screen that is drawn anew every second or two, on a terminal, until `q` or Ctrl-C; where there is none, printed
 * once. What was on the terminal before is there again when it ends.
 */
import { MACHINE_TICKS } from '../lib/clock.ts';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { ProxyError } from '../lib/errors.ts';
import { hasKeyboard, isInForeground, openKeyboard } from '../app/keyboard.ts';
import { printData, terminalWidth } from '../app/print.ts';

const MIN_PAUSE_MS = 1_000;
/** To read a large ledger takes a while: it is read for a tenth of the time at most. */
const PAUSES_PER_READING = 9;
/** The other screen of the terminal, without cursor, and with long lines cut instead of wrapped; and back. */
const ENTER = '\u001B[?1049h\u001B[?25l\u001B[?7l';
const LEAVE = '\u001B[?7h\u001B[?25h\u001B[?1049l';
const [HOME, END_OF_LINE, REST] = ['\u001B[H', '\u001B[K', '\u001B[J'];
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** `draw` gets the columns of the terminal, if any. Throws what `read` throws, but not that a store is busy. */
export async function showLive<T>(
  read: () => Promise<T>,
  draw: (reading: T, width: number | undefined) => string,
): Promise<void> {
  if (!hasKeyboard(process.env) || !(await isInForeground())) return printData(draw(await read(), terminalWidth()));
  // Before the screen is changed: what is wrong with the question is said where it was asked.
  let reading = await read();
  const ending = new AbortController();
  const end = (): void => ending.abort();
  let trouble: string | undefined;
  const show = (): void => drawScreen(draw(reading, terminalWidth()), trouble);
  const enter = (): void => {
    process.stdout.write(ENTER);
    show();
  };
  for (const signal of SIGNALS) process.once(signal, end);
  process.stdout.on('resize', show).on('error', end);
  process.once('exit', leave);
  const keyboard = await openKeyboard({
    onKey: (key) => (key.toLowerCase() === 'q' ? end() : undefined),
    onStop: leave,
    onContinue: enter,
  });
  try {
    enter();
    for (let tookMs = 0; !ending.signal.aborted;) {
      await pause(Math.max(MIN_PAUSE_MS, tookMs * PAUSES_PER_READING), ending.signal);
      if (ending.signal.aborted) break;
      const startedAtTick = MACHINE_TICKS();
      try {
        reading = await unlessEnded(read(), ending.signal);
        trouble = undefined;
      } catch (thrown) {
        if (ending.signal.aborted) break;
        // A busy database, or one that is being restored, is worth waiting for.
        if (!(thrown instanceof ProxyError) || thrown.code !== 'ERR_STORE_UNAVAILABLE') throw thrown;
        trouble = thrown.message;
      }
      tookMs = MACHINE_TICKS() - startedAtTick;
      show();
    }
  } finally {
    keyboard.close();
    for (const signal of SIGNALS) process.off(signal, end);
    process.stdout.off('resize', show).off('error', end);
    process.off('exit', leave);
    leave();
  }
}

function leave(): void {
  process.stdout.write(LEAVE);
}

/** The lines that fit, from the top. */
function drawScreen(text: string, trouble: string | undefined): void {
  const lines = trouble === undefined ? text.split('\n') : [`Not up to date: ${trouble}`, ...text.split('\n')];
  const shown = lines.slice(0, Math.max(1, process.stdout.rows - 1));
  process.stdout.write(`${HOME}${shown.map((line) => `${line}${END_OF_LINE}\n`).join('')}${REST}`);
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}

/** Throws when it is time to end. */
async function unlessEnded<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => {});
  const ended = once(signal, 'abort').then(() => {
    throw new ProxyError('ERR_SHUTTING_DOWN', 'The screen was closed.');
  });
  return Promise.race([work, ended]);
}
