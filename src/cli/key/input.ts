/** What the `key` commands get from the command line. */
import type { Flags } from '../../config/options.ts';
import type { LimitValues } from '../../keys/define-limit.ts';

/** Of every one. */
export interface KeyInput extends Flags {
  readonly json: boolean;
}

/** Of `generate` and `update`: what a key may do. */
export interface LimitInput extends KeyInput, LimitValues {
  readonly alias: string | undefined;
  readonly expires: string | undefined;
  readonly tag: readonly string[] | undefined;
  readonly note: string | undefined;
}

/** Of those that end a key. */
export interface KeyEndInput extends KeyNameInput {
  readonly yes: boolean;
}

/** Of `exec`: what its key may do, if it is to have one of its own. */
export interface ExecLimitInput extends Flags, LimitValues {
  readonly key: string | undefined;
  readonly expires: string | undefined;
  readonly tag: readonly string[] | undefined;
}

/** Of those that take a key: its name as for `withKey`. */
export interface KeyNameInput extends KeyInput {
  readonly key: string;
}
