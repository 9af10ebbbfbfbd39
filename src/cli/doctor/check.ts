/**
 * What a check of `doctor` is and how its outcome is written. Pure.
 */
import type { ChalkInstance } from 'chalk';
import { formatLabelled } from '../../app/print.ts';
import { type ProxyError, toProxyError } from '../../lib/errors.ts';

/** `skip`: could not be checked, for a reason that is told. */
export type CheckStatus = 'ok' | 'warn' | 'fail' | 'skip';

/** What one check found, and what to do about it. */
export interface CheckResult {
  readonly name: string;
  readonly status: CheckStatus;
  /** What was found. Never a secret. */
  readonly message: string;
  /** What to do. */
  readonly hint?: string | undefined;
}

/** A check that passed. */
export function ok(name: string, message: string): CheckResult {
  return { name, status: 'ok', message };
}

/** A check that passed, with something to know. */
export function warn(name: string, message: string, hint: string): CheckResult {
  return { name, status: 'warn', message, hint };
}

/** A check that failed. */
export function fail(name: string, message: string, hint: string | undefined): CheckResult {
  return { name, status: 'fail', message, hint };
}

/** A check that was not made, and why. */
export function skip(name: string, reason: string): CheckResult {
  return { name, status: 'skip', message: reason };
}

/** A failure in the words of the error. */
export function failBy(name: string, thrown: unknown): CheckResult {
  const error: ProxyError = toProxyError(thrown);
  return fail(name, error.detail === undefined ? error.message : `${error.message} [${error.detail}]`, error.hint);
}

/** Columns before what was found. */
const LABEL_WIDTH = 21;

/** `ok    node  v24.21.0`, and the hint below it, in lines of `width` columns if a terminal has no more. */
export function formatCheck(
  { name, status, message, hint }: CheckResult,
  paint: ChalkInstance,
  width: number | undefined,
): string {
  const colors = { ok: paint.green, warn: paint.yellow, fail: paint.red, skip: paint.dim };
  const label = `${colors[status](status.padEnd(4))}  ${name.padEnd(13)}  `;
  const line = formatLabelled(label, Math.max(LABEL_WIDTH, name.length + 8), message, width);
  if (hint === undefined) return line;
  const hintLabel = `${' '.repeat(LABEL_WIDTH)}${paint.cyan('hint:')} `;
  return `${line}\n${formatLabelled(hintLabel, LABEL_WIDTH + 6, hint, width)}`;
}

/** A URL without the password it may hold, for people. */
export function showUrl(text: string): string {
  return text.replace(/\/\/[^/@\s]*@/, '//…@');
}
