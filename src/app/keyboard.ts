/**
 * The keys that somebody presses on the terminal of a command that goes on: one by one, without echo. Only where that
 * is safe: a terminal on both ends, not in continuous integration, and never while the command is in the background,
 * where to read, or to change the terminal's mode, would stop it. What the keys of the terminal itself mean (Ctrl-C,
 * Ctrl-Z, Ctrl-\) they mean here too. The terminal is as it was when this ends, however the process ends.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { isatty, ReadStream } from 'node:tty';
import { promisify } from 'node:util';
import type { Environment } from '../config/options.ts';

/** A key is alone; what comes faster than that was pasted, or is the sequence of an arrow key. */
const BURST_MS = 20;
/** A process that cannot be stopped, because no shell would go on with it, reads on. */
const UNSTOPPED_MS = 200;
const PS_TIMEOUT_MS = 2_000;

/** What is told of the terminal. */
export interface KeyboardEvents {
  /** A character, or `\r`. */
  onKey(key: string): void;
  /** The terminal is about to go to the shell: Ctrl-Z. */
  onStop?(): void;
  /** It is ours again. */
  onContinue?(): void;
}

/** Reads until it is closed. */
export interface Keyboard {
  close(): void;
}

/** Whether keys would be read here, at all. */
export function hasKeyboard(environment: Environment): boolean {
  const isCi = /^(?!$|0$|false$)/i.test(environment['CI'] ?? '');
  return isatty(0) && isatty(1) && !isCi && environment['TERM'] !== 'dumb';
}

/** Whether this process may read its terminal now. */
export async function isInForeground(): Promise<boolean> {
  if (process.platform === 'win32') return true;
  const [group, foreground] = readGroupsFromProc() ?? (await readGroupsFromPs());
  return group !== undefined && group === foreground;
}

type Groups = readonly [group: string | undefined, foreground: string | undefined];

/** Linux: proc(5), fields 5 (pgrp) and 8 (tpgid); the name before them may hold anything. */
function readGroupsFromProc(): Groups | undefined {
  try {
    const text = readFileSync('/proc/self/stat', 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return [fields[2], fields[5]];
  } catch {
    return undefined;
  }
}

async function readGroupsFromPs(): Promise<Groups> {
  const args = ['-o', 'pgid=,tpgid=', '-p', String(process.pid)];
  const found = await promisify(execFile)('/bin/ps', args, { timeout: PS_TIMEOUT_MS }).catch(() => ({ stdout: '' }));
  const [group, foreground] = found.stdout.trim().split(/\s+/);
  return [group, foreground];
}

/** Reads keys whenever this process is in the foreground. To be called once, and only if `hasKeyboard`. */
export async function openKeyboard(events: KeyboardEvents): Promise<Keyboard> {
  const keyboard = new TerminalKeyboard(events);
  await keyboard.start();
  return keyboard;
}

/**
 * - away: the terminal is the shell's, and is neither read nor changed.
 * - reading: it is ours, in raw mode.
 * - closed: it is left as it was found.
 */
class TerminalKeyboard implements Keyboard {
  readonly #events: KeyboardEvents;
  /** Not `process.stdin`, whose mode Node sets once more when the process ends: in the background that stops it. */
  #terminal: ReadStream | undefined;
  #state: 'away' | 'reading' | 'closed' = 'away';
  #pressed: NodeJS.Timeout | undefined;
  #key: string | undefined;

  constructor(events: KeyboardEvents) {
    this.#events = events;
  }

  async start(): Promise<void> {
    process.on('SIGCONT', this.#onContinued);
    process.on('exit', this.#restore);
    await this.#read();
  }

  close(): void {
    this.#restore();
    this.#state = 'closed';
    process.off('SIGCONT', this.#onContinued);
    process.off('exit', this.#restore);
  }

  async #read(): Promise<void> {
    if (!(await isInForeground()) || this.#state !== 'away') return;
    try {
      this.#terminal = new ReadStream(0);
      this.#terminal.on('data', this.#onData).on('end', this.#onGone).on('error', this.#onGone).setRawMode(true);
    } catch {
      return this.#onGone();
    }
    this.#state = 'reading';
    // Whoever reads keys does not keep the process alive.
    this.#terminal.unref();
  }

  /** Closing it sets its mode back, at once. */
  readonly #restore = (): void => {
    clearTimeout(this.#pressed);
    this.#pressed = undefined;
    if (this.#state === 'reading') this.#state = 'away';
    this.#terminal?.off('data', this.#onData).off('end', this.#onGone).destroy();
    this.#terminal = undefined;
  };

  /** The terminal was closed, or somebody else has it: what ends the process is not decided here. */
  readonly #onGone = (): void => this.close();

  readonly #onContinued = (): void => {
    void this.#goOn();
  };

  /** Stopped by a signal, not by Ctrl-Z, the shell may have changed the mode: it is set anew. */
  async #goOn(): Promise<void> {
    if (this.#state === 'reading' && (await isInForeground())) this.#restore();
    await this.#read();
    if (this.#state === 'reading') this.#events.onContinue?.();
  }

  readonly #onData = (chunk: Buffer): void => {
    const text = chunk.toString('latin1');
    for (const byte of text) this.#onControl(byte);
    const isBurst = this.#pressed !== undefined || text.length > 1;
    clearTimeout(this.#pressed);
    this.#key = isBurst || text < ' ' !== (text === '\r') ? undefined : text;
    this.#pressed = setTimeout(() => {
      this.#pressed = undefined;
      if (this.#key !== undefined && this.#state === 'reading') this.#events.onKey(this.#key);
    }, BURST_MS);
  };

  #onControl(byte: string): void {
    if (byte === '\u0003') return sendToGroup('SIGINT');
    if (process.platform === 'win32') return;
    if (byte === '\u001A') this.#stop();
    if (byte === '\u001C') {
      this.#restore();
      sendToGroup('SIGQUIT');
    }
  }

  #stop(): void {
    if (this.#state !== 'reading') return;
    this.#events.onStop?.();
    this.#restore();
    sendToGroup('SIGTSTP');
    setTimeout(this.#onContinued, UNSTOPPED_MS).unref();
  }
}

/** As the terminal does: to all processes of the job, the npm that started this one too. */
function sendToGroup(signal: NodeJS.Signals): void {
  if (process.platform === 'win32') process.emit(signal, signal);
  else process.kill(0, signal);
}
