/**
 * What the profiles in the shared AWS files are, and whether a login is over, by the files alone: nothing is run and
 * nobody is asked. Values stay where they are.
 */
import type { WallClock } from '../../lib/clock.ts';
import { quoteForShell } from '../../lib/command-name.ts';
import { formatAge, formatSpan } from '../../lib/format.ts';
import { isProfileName, loadSsoLogin, type SsoLogin } from './credentials.ts';

/** A profile, for people. */
export interface ProfileState {
  readonly name: string;
  /** For example `access keys` or `AWS SSO, login expired 3 h ago`. */
  readonly words: string;
  readonly region: string | undefined;
  /** Whether it names credentials that the proxy can sign with. */
  readonly signs: boolean;
  /** What to do before it can be used; undefined: nothing that the files tell of. */
  readonly remedy: string | undefined;
}

/** Those of people who have more are not all told. */
const MAX_PROFILES = 20;

type Description = Pick<ProfileState, 'words' | 'signs' | 'remedy'>;
type ProfileSettings = Readonly<Record<string, string | undefined>>;

/** The first twenty, in the order of the files; none if they cannot be read. */
export async function loadProfileStates(nowMs: WallClock): Promise<readonly ProfileState[]> {
  const { parseKnownFiles } = await import('@smithy/core/config');
  const profiles = await parseKnownFiles({ ignoreCache: true }).catch(() => ({}));
  const named = Object.entries<ProfileSettings>(profiles)
    .filter(([name]) => isProfileName(name))
    .slice(0, MAX_PROFILES);
  const states = await Promise.all(
    named.map(async ([name, settings]) => {
      const login = await loadSsoLogin(name);
      return { name, region: settings['region'], ...describeProfile(name, settings, login, nowMs()) };
    }),
  );
  // A role is as good as the profile that takes it.
  const remedyOf = (settings: ProfileSettings): string | undefined =>
    states.find(({ name }) => name === settings['source_profile'])?.remedy;
  return states.map((state, at) => ({ ...state, remedy: state.remedy ?? remedyOf(named[at]?.[1] ?? {}) }));
}

/** What it is, by its settings, in the order in which the SDK looks at them. */
function describeProfile(
  name: string,
  settings: ProfileSettings,
  login: SsoLogin | undefined,
  nowMs: number,
): Description {
  if (settings['credential_process']?.includes('bedrock-proxy') === true) {
    return { ...plain('keys of this proxy: for its clients, not for it'), signs: false };
  }
  if (settings['aws_access_key_id'] !== undefined) return plain('access keys');
  if (settings['role_arn'] !== undefined) {
    const source = settings['source_profile'] ?? settings['credential_source'];
    return plain(source === undefined ? 'a role' : `a role, by ${source}`);
  }
  if (settings['credential_process'] !== undefined) return plain('credential_process');
  if (settings['login_session'] !== undefined) return plain('aws login');
  if (login !== undefined) return describeLogin(name, login, nowMs);
  return { ...plain('no credentials'), signs: false };
}

function plain(words: string): Description {
  return { words, signs: true, remedy: undefined };
}

function describeLogin(name: string, login: SsoLogin, nowMs: number): Description {
  const { expiresAtMs, isRenewable } = login;
  const remedy = `aws sso login --profile ${quoteForShell(name)}`;
  if (expiresAtMs === undefined) return { words: 'AWS SSO, no login', signs: true, remedy };
  if (expiresAtMs > nowMs) return plain(`AWS SSO, for another ${formatSpan(expiresAtMs - nowMs)}`);
  const words = `AWS SSO, expired ${formatAge(expiresAtMs, nowMs)}`;
  return isRenewable ? plain(`${words}, is renewed by itself`) : { words, signs: true, remedy };
}
