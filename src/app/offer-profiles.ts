/**
 * What `start` says on a terminal when it has nothing to sign with: the profiles that there are, with their state, and
 * what to do next.
 */
import { printable } from '../lib/printable.ts';
import { loadProfileStates, type ProfileState } from '../upstream/aws/profile-states.ts';
import { quoteForShell } from '../lib/command-name.ts';
import { formatTable, printTalk } from './print.ts';

/** Prints it. `inUse`: the profile that the server was started with. Never rejects. */
export async function offerProfiles(inUse: string | undefined): Promise<void> {
  const profiles = await loadProfileStates(Date.now).catch(() => []);
  printTalk(`\n${formatOffer(profiles, inUse)}\n`);
}

/** The profiles as a table, and the commands that come next. */
export function formatOffer(profiles: readonly ProfileState[], inUse = 'default'): string {
  const waiting = profiles.find((profile) => isWaiting(profile) && profile.name === inUse) ?? profiles.find(isWaiting);
  const usable = profiles.find(({ remedy, signs }) => signs && remedy === undefined);
  const rows = profiles.map(({ name, words, region }) =>
    [name, words, region ?? '-'].map((cell) => printable(cell, 60)),
  );
  const steps = [
    ...(usable === undefined ? [] : [`\`bedrock-proxy start --profile ${shown(usable)}\``]),
    ...(waiting === undefined ? [] : [describeLogin(waiting, inUse)]),
    ...(profiles.length === 0 ? ['`aws configure sso` or `aws configure`, which make a profile'] : []),
    '`bedrock-proxy start --offline`, which needs no account',
  ];
  return [
    ...(rows.length === 0 ? ['There are no AWS profiles here.'] : [formatTable(['profile', 'is', 'region'], rows), '']),
    'What can be done now:',
    ...steps.map((step) => `  ${step}`),
  ].join('\n');
}

function describeLogin(profile: ProfileState, inUse: string): string {
  const login = `\`${printable(profile.remedy ?? '')}\``;
  if (profile.name === inUse) return `${login}; the next request works then, without a restart`;
  return `${login}, then \`bedrock-proxy start --profile ${shown(profile)}\``;
}

function shown({ name }: ProfileState): string {
  return quoteForShell(printable(name));
}

function isWaiting({ remedy }: ProfileState): boolean {
  return remedy !== undefined;
}
