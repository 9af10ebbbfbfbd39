/**
 * What `start` says when it listens, and when somebody makes the first key.
 */
import { type Config, needsNoAccount } from '../config/config.ts';
import { within } from '../lib/deadline.ts';
import type { CredentialSource } from '../upstream/aws/credentials.ts';
import { type AuthorityState, describeAuthority } from './authority.ts';
import { type BannerFacts, formatBanner, formatCommands } from './banner.ts';
import { findApiKey } from './identities.ts';
import { colorsFor, printError, printTalk, terminalWidth } from './print.ts';
import { findUnknownRegions } from './unknown-regions.ts';

/** The banner does not wait longer than this for the credential chain, which may ask the network. */
const CREDENTIALS_TIMEOUT_MS = 200;

/** The banner, and below it what keeps the server from signing. `source`: undefined if only upstreams have some. */
export async function greet(
  config: Config,
  facts: Omit<BannerFacts, 'credentials'>,
  source: CredentialSource | undefined,
): Promise<void> {
  // Another upstream may call its region as it likes.
  const judged = config.quiet || config.endpointUrls.size > 0 ? undefined : facts.region;
  const unknown = judged === undefined ? [] : await findUnknownRegions([judged.name]);
  for (const sentence of unknown) printTalk(`note: ${sentence}`);
  if (source === undefined) return tellBanner(config, { ...facts, credentials: 'those of each upstream' });
  if (needsNoAccount(config))
    return tellBanner(config, { ...facts, credentials: 'none needed: nothing leaves this machine' });
  const looking = describeAuthority(findApiKey(config), source);
  const inTime = await within(CREDENTIALS_TIMEOUT_MS, looking);
  tellBanner(config, {
    ...facts,
    credentials: inTime?.words ?? 'being looked up …',
    lacksAuthority: !!inTime?.problem,
  });
  const tellProblem = async ({ problem }: AuthorityState): Promise<void> => {
    if (problem === undefined || config.quiet) return;
    printError(problem, false);
    // In a log nobody chooses.
    if (process.stderr.isTTY === true) await (await import('./offer-profiles.ts')).offerProfiles(config.profile);
  };
  if (inTime !== undefined) return tellProblem(inTime);
  void tellLater();
  async function tellLater(): Promise<void> {
    const found = await looking;
    if (found.problem === undefined && !config.quiet) printTalk(`credentials: ${found.words}\n`);
    await tellProblem(found);
  }
}

/** That open mode has ended: whoever has its lines on the screen would wonder why they do not work any more. */
export function tellClosed(config: Config, facts: Omit<BannerFacts, 'credentials' | 'access'>): void {
  if (config.quiet) return;
  printTalk('A key exists now: every call needs one (`bedrock-proxy key list`).');
  printTalk(formatCommands({ ...facts, access: 'keys' }, colorsFor(process.stderr)));
}

function tellBanner(config: Config, facts: BannerFacts): void {
  if (!config.quiet) printTalk(formatBanner(facts, colorsFor(process.stderr), terminalWidth(process.stderr)));
}
