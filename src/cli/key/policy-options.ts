/**
 * The options that say what a key may do: those of `key generate`, `key update` and `exec`.
 */
import { type CommandOptions, nameOptions } from '../command.ts';
import type { LimitFlag } from '../../keys/define-limit.ts';
import { LIMITS } from '../../keys/limits.ts';

const { allowUnpriced, ...LIMITED } = LIMITS;
/** Of `generate` and `update`. Last what `update` can take back with the option right below it. */
export const POLICY_OPTIONS = {
  alias: { flag: '--alias <name>', description: 'a name for people' },
  expires: {
    flag: '--expires <time>',
    description: 'when it ends: 12h, 30d, a day (through its end, UTC) or a time with its zone',
  },
  ...limitOptions(Object.values(LIMITED).flatMap(({ flags }) => flags)),
  tag: { flag: '--tag <name=value...>', description: 'a tag for what it does in the ledger' },
  note: { flag: '--note <text>', description: 'a line for people' },
  ...limitOptions(allowUnpriced.flags),
} as const satisfies CommandOptions;

function limitOptions(flags: readonly LimitFlag[]): CommandOptions {
  return nameOptions(
    flags.map(({ name, argument, description, choices }) => ({
      flag: argument === undefined ? name : `${name} ${argument}`,
      description,
      choices,
    })),
  );
}

const { profile: _profile, roleArn: _roleArn, ...EXEC_LIMITED } = LIMITED;
/** Of `exec`, whose key needs no name, and signs as its proxy does: `--profile` is that of the proxy. */
export const EXEC_POLICY_OPTIONS = {
  expires: POLICY_OPTIONS.expires,
  ...limitOptions(Object.values(EXEC_LIMITED).flatMap(({ flags }) => flags)),
  tag: POLICY_OPTIONS.tag,
  ...limitOptions(allowUnpriced.flags),
} as const satisfies CommandOptions;
