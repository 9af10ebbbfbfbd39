/**
 * `doctor`: every check on the way from a client to AWS, in the order in which a fault would show, each with what to
 * do. What cannot be checked is skipped with the reason, and the rest goes on.
 */
import type { Config } from '../../config/config.ts';
import type { Flags } from '../../config/options.ts';
import { loadSsoLogin } from '../../upstream/aws/credentials.ts';
import { checkClock, checkCredentials, checkIdentity, checkDefaultRegion, checkSsoLogin } from './aws.ts';
import { type ProxyCaller, checkConverse, checkListing, checkStream, withProxy } from './calls.ts';
import { type CheckResult, failBy, formatCheck, skip } from './check.ts';
import { checkDatabase, checkNode, checkPort, checkPrices } from './machine.ts';
import { checkRunning } from './running.ts';
import { findRunningProxy } from '../../app/running-proxy.ts';
import { readClientConfig } from '../exec/outer-proxy.ts';
import { checkNetworkVariables, checkVariables } from './variables.ts';
import { colorsFor, EXIT_FAILED, printData, printJson, terminalWidth } from '../../app/print.ts';
import { findOwnIdentity } from '../../app/identities.ts';
import { connectUpstream, findRegion } from '../../app/start.ts';
import type { AwsConnection } from '../../upstream/aws/connection.ts';

/** Nobody waits as long for a diagnosis as for a model that thinks. */
const RESPONSE_TIMEOUT_MS = 30_000;

const OFFLINE_REASON = 'offline: nothing leaves this machine';
const RUNNING_OFFLINE_REASON = 'the proxy that runs is offline; --profile or --region checks AWS';

interface DoctorInput extends Flags {
  readonly noInvoke: boolean;
  readonly json: boolean;
}

type Report = (...results: readonly CheckResult[]) => void;

/** Prints the results and gives the exit code: 1 where a check failed. */
export async function diagnose(input: DoctorInput): Promise<number> {
  const given = { ...readClientConfig(input, process.env), idleTimeoutMs: RESPONSE_TIMEOUT_MS };
  const results: CheckResult[] = [];
  const report: Report = (...found) => {
    results.push(...found);
    if (!input.json)
      for (const result of found) printData(formatCheck(result, colorsFor(process.stdout), terminalWidth()));
  };
  const running = await findRunningProxy(given);
  const facts = running.kind === 'ours' ? running.facts : undefined;
  const followsRunning = facts?.isOffline === true && !namesUpstream(input);
  const config = { ...given, offline: given.offline || followsRunning };
  const offlineReason = followsRunning ? RUNNING_OFFLINE_REASON : OFFLINE_REASON;
  report(checkNode(process.version), await checkPort(config, running));
  report(await checkDatabase(config), await checkPrices(config));
  report(...checkVariables(process.env, config.port), ...checkNetworkVariables(process.env));
  const ofRunning = facts?.region === undefined ? undefined : { name: facts.region, origin: 'the proxy that runs' };
  const region = given.region ?? ofRunning ?? (await findRegion(config));
  report(checkDefaultRegion(region));
  const connection = await connectUpstream(config, region?.name);
  try {
    const mayInvoke = !input.noInvoke;
    await checkAws({ config, connection, region: region?.name, mayInvoke, offlineReason }, report);
  } finally {
    await connection.close();
  }
  report((await runChecks('running-proxy', async () => ({ result: await checkRunning(config, running) }))).result);
  const hasFailed = results.some(({ status }) => status === 'fail');
  if (input.json) printJson({ ok: !hasFailed, checks: results });
  return hasFailed ? EXIT_FAILED : 0;
}

interface DoctorContext {
  readonly config: Config;
  readonly connection: AwsConnection;
  readonly region: string | undefined;
  readonly mayInvoke: boolean;
  /** Why nothing is asked of AWS, if the configuration is offline. */
  readonly offlineReason: string;
}

/** Whether somebody wants to know about AWS, whatever runs. */
function namesUpstream({ profile, region, endpointUrl }: Flags): boolean {
  return profile !== undefined || region !== undefined || endpointUrl !== undefined;
}

async function checkAws(context: DoctorContext, report: Report): Promise<void> {
  const { hasCredentials, skewMs } = await checkOwner(context, report);
  const { config, connection, region, mayInvoke, offlineReason } = context;
  const clock = (aheadMs: number | undefined): CheckResult =>
    config.offline ? skip('clock', offlineReason) : checkClock(aheadMs);
  const why = hasCredentials ? (region === undefined ? 'no region' : undefined) : 'no credentials';
  if (why !== undefined || region === undefined) {
    report(clock(skewMs), ...['list-models', 'converse', 'stream'].map((name) => skip(name, why ?? 'no region')));
    return;
  }
  await withProxy(config, connection, region, async (caller) => {
    const listing = await runChecks('list-models', () => checkListing(caller));
    report(clock(skewMs ?? listing.skewMs), listing.result);
    if (mayInvoke) await checkModels(caller, region, report);
    else report(skip('converse', '--no-invoke'), skip('stream', '--no-invoke'));
  });
}

/** Credentials, login and identity. */
async function checkOwner(
  { config, connection, region, offlineReason }: DoctorContext,
  report: Report,
): Promise<{ readonly hasCredentials: boolean; readonly skewMs?: number | undefined }> {
  if (config.offline) {
    report(...['credentials', 'sso-login', 'identity'].map((name) => skip(name, offlineReason)));
    return { hasCredentials: true };
  }
  const { result, credentials } = await checkCredentials(config, findOwnIdentity(connection), Date.now());
  report(result, checkSsoLogin(await loadSsoLogin(config.profile), config.profile, Date.now()));
  const hasCredentials = result.status !== 'fail';
  const endpoint = process.env['AWS_ENDPOINT_URL_STS'];
  if (config.endpointUrls.size > 0 && endpoint === undefined) {
    report(skip('identity', '--endpoint-url: the upstream may not be AWS'));
    return { hasCredentials };
  }
  const { result: identity, skewMs } = await checkIdentity(credentials, region ?? 'us-east-1', {
    endpoint,
    forwarder: connection.forwarder,
  });
  report(identity);
  return { hasCredentials, skewMs };
}

async function checkModels(caller: ProxyCaller, region: string, report: Report): Promise<void> {
  const converse = await runChecks('converse', () => checkConverse(caller, region));
  report(converse.result);
  const stream = await runChecks('stream', async () => ({ result: await checkStream(caller, converse.model) }));
  report(stream.result);
}

/** A check that throws has failed; the others go on. */
async function runChecks<T extends { readonly result: CheckResult }>(
  name: string,
  check: () => Promise<T>,
): Promise<Partial<T> & { readonly result: CheckResult }> {
  try {
    return await check();
  } catch (thrown) {
    return { result: failBy(name, thrown) } as Partial<T> & { readonly result: CheckResult };
  }
}
