/**
 * `exec`: runs one command with the variables that point its client at the proxy, and with a key that is made for it
 * and revoked when it ends. Starts a proxy of its own where none runs. Ends with the command's own exit code.
 */
import { nameDatabase } from '../../config/database-location.ts';
import { randomBytes } from 'node:crypto';
import { mintKey } from '../../keys/mint.ts';
import { type Config, MOUNT_PATH, needsNoAccount, withoutSecrets } from '../../config/config.ts';
import type { Flags } from '../../config/options.ts';
import { toProxyError } from '../../lib/errors.ts';
import { openStore } from '../../app/open-store.ts';
import type { Store } from '../../domain/store.ts';
import { baseUrl } from '../../app/banner.ts';
import { type ClientName, type ClientSettings, describeClient } from '../env/client-settings.ts';
import { bypassForwardProxy } from '../env/env.ts';
import { relaySignals, runCommand, type SignalRelay } from './command.ts';
import { findKnownAgent, type KnownAgent } from './known-agent.ts';
import { execAlias, nameCommand, revokeStaleKeys, thisProcessSpace } from '../../keys/exec-key.ts';
import { findRunningProxy, type ServerAddress } from '../../app/running-proxy.ts';
import type { ServerFacts } from '../../auth/server-facts.ts';
import { requireProfile } from '../../app/profiles.ts';
import { describeOuterProxy, findOuterKey, readClientConfig } from './outer-proxy.ts';
import { type NewKeyLimits, readExecLimits } from '../key/options.ts';
import { tellUnknownPatterns } from '../key/unknown-patterns.ts';
import type { ExecLimitInput } from '../key/input.ts';
import { startServerChild } from './server.ts';
import { type ClientKey, openKey, requireUsableKey } from '../key/client-key.ts';
import { findServerSecret } from '../../keys/server-secret.ts';
import { printError, printTalk } from '../../app/print.ts';
import { findRegion } from '../../app/start.ts';
import { preferTls } from '../../app/tls.ts';

interface ExecInput extends ExecLimitInput {
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly for: ClientName | undefined;
}

/** Runs it and gives its exit code. Throws where it does not get as far as running it. */
export async function execute(input: ExecInput): Promise<number> {
  const config = readClientConfig(input, process.env);
  const terms = readExecLimits(input, Date.now());
  if (!needsNoAccount(config)) await requireProfile(config);
  if (terms !== undefined) await tellUnknownPatterns(terms.policy);
  const store = await openStore(config.database, { sealing: config });
  const signals = relaySignals();
  try {
    await revokeStaleKeys(store, thisProcessSpace(Date.now()), Date.now());
    return await withKey({ store, config, input, terms }, (key) =>
      withServer(config, input, key, async (server) => {
        if (signals.endedEarly !== undefined) return signals.endedEarly;
        const region = config.region?.name ?? server.facts?.region ?? (await findRegion(config))?.name;
        const { url, caFile } = server;
        const { accessKeyId } = key;
        const agent = findKnownAgent(input.command);
        const client = input.for ?? agent?.client;
        tellLacks(server.facts, region, client);
        const settings = describeClient({ client, url, accessKeyId, key: key.key, region, caFile });
        const command = addArguments(input.command, settings, agent?.client === client ? agent : undefined);
        return runIn({ settings, server, config }, command, signals);
      }),
    );
  } finally {
    signals.stop();
    await store.close();
  }
}

interface KeyWish {
  readonly store: Store;
  readonly config: Config;
  readonly input: ExecInput;
  readonly terms: NewKeyLimits | undefined;
}

/**
 * With `--key` that key, which stays; within another `exec` the key of that one, so that its limits hold; otherwise a
 * fresh one, revoked as soon as `work` is over.
 */
async function withKey<T>({ store, config, input, terms }: KeyWish, work: (key: ClientKey) => Promise<T>): Promise<T> {
  if (input.key !== undefined) return work(openKey(await requireUsableKey(store, input.key), config));
  const outer = terms === undefined ? await findOuterKey(store, process.env, Date.now()) : undefined;
  if (outer !== undefined) return work(openKey(outer, config));
  const nowMs = Date.now();
  const command = nameCommand(input.command[findKnownAgent(input.command)?.index ?? 0] ?? '');
  const minted = await mintKey({
    ...terms,
    store,
    serverSecret: findServerSecret(config.database, config.saltKey),
    alias: execAlias({ command, pid: process.pid, space: thisProcessSpace(nowMs) }, randomBytes),
    execCommand: command,
    nowMs,
    randomBytes,
  });
  try {
    return await work(minted);
  } finally {
    // The command's exit code counts more than this; what stays behind is revoked by the next sweep.
    await store.revokeKey(minted.id, Date.now()).catch((thrown: unknown) => printError(toProxyError(thrown), false));
  }
}

/** A server for the command, and where it listens: the host as it is configured. */
interface ExecServer extends ServerAddress {
  readonly host: string;
  readonly port: number;
  /** Undefined: it has told nothing. */
  readonly facts: ServerFacts | undefined;
}

/**
 * The proxy that runs on the port, where it is ours and nothing was said about the upstream; otherwise one for this
 * command.
 */
async function withServer(
  config: Config,
  input: Flags,
  { id }: ClientKey,
  work: (server: ExecServer) => Promise<number>,
): Promise<number> {
  const { host, port } = config;
  const running = namesUpstream(config, input) ? undefined : await findRunningProxy(config, id);
  if (running?.kind === 'ours' && (config.tls === undefined || running.facts.hasTls)) {
    const address = await preferTls(baseUrl({ host, port, mountPath: MOUNT_PATH }), config);
    return work({ ...address, host, port, facts: running.facts });
  }
  if (running?.kind === 'other' || running?.kind === 'ours') {
    const what = running.kind === 'ours' ? 'speaks no TLS' : 'is no proxy of this database';
    printTalk(`note: What listens on port ${port} ${what}; the command gets one of its own.`);
  }
  const server = await startServerChild(argumentsForStart(input), {
    ...process.env,
    // Not among the arguments, which every user of the machine sees: it may hold a password.
    BEDROCK_PROXY_DB: nameDatabase(config.database),
  });
  let exitCode: number;
  let exitCodeOfServer: number | undefined;
  try {
    const own = { host: '127.0.0.1', port: server.port };
    const started = await findRunningProxy({ ...config, ...own }, id);
    const facts = started.kind === 'ours' ? started.facts : undefined;
    // Its certificate is there by now, and shared by every proxy of this database.
    const isPlain = config.tls === undefined;
    const address = isPlain ? { url: server.url, caFile: undefined } : await preferTls(server.url, config);
    exitCode = await work({ ...address, ...own, facts });
  } finally {
    exitCodeOfServer = await server.end();
  }
  // What had no recording counts even if the command has caught the error.
  const isMissed = config.cassette !== undefined && exitCodeOfServer !== 0;
  return exitCode === 0 && isMissed ? 1 : exitCode;
}

/** Told before the command starts, which would fail with words of its own. */
function tellLacks(facts: ServerFacts | undefined, region: string | undefined, client: ClientName | undefined): void {
  const problem = facts?.credentialsProblem;
  if (problem !== undefined) {
    printTalk(`warning: ${problem.message}`);
    const { hint = '' } = problem;
    printTalk(`hint: ${hint}${hint.includes('--offline') ? '' : ' Or try it without an account: exec --offline.'}`);
  }
  if (region === undefined && client !== 'openai') printTalk('note: No AWS region is known: name one with --region.');
}

/** A proxy that runs may have another profile, region or upstream than the ones asked for here; so it is not taken. */
function namesUpstream(config: Config, { profile, region }: Flags): boolean {
  const { offline, cassette, faults, endpointUrls } = config;
  return (
    cassette !== undefined ||
    offline ||
    faults.length > 0 ||
    endpointUrls.size > 0 ||
    profile !== undefined ||
    region !== undefined
  );
}

function argumentsForStart(input: Flags): string[] {
  const args: string[] = [];
  if (input.profile !== undefined) args.push('--profile', input.profile);
  if (input.region !== undefined) args.push('--region', input.region);
  if (input.offline) args.push('--offline');
  if (input.script !== undefined) args.push('--script', input.script);
  if (input.tls) args.push('--tls');
  args.push(...cassetteArguments(input));
  for (const fault of input.fault ?? []) args.push('--fault', fault);
  if (input.faultSeed !== undefined) args.push('--fault-seed', input.faultSeed);
  for (const url of input.endpointUrl ?? []) args.push('--endpoint-url', url);
  return args;
}

function cassetteArguments({ cassette, cassetteMode, cassetteSkip, cassetteStrict, replaySpeed }: Flags): string[] {
  const given = [
    ['--cassette', cassette],
    ['--cassette-mode', cassetteMode],
    ['--cassette-skip', cassetteSkip],
    ['--replay-speed', replaySpeed],
  ] as const;
  const args = given.flatMap(([flag, value]) => (value === undefined ? [] : [flag, value]));
  return cassetteStrict === true ? [...args, '--cassette-strict'] : args;
}

/** What no variable can say goes onto the command line of a client that stands there by name; else we tell it. */
function addArguments(
  commandLine: readonly string[],
  { args, obstacle }: ClientSettings,
  agent: KnownAgent | undefined,
): readonly string[] {
  if (agent !== undefined && args.length > 0) return commandLine.toSpliced(agent.index + 1, 0, ...args);
  if (obstacle !== undefined) printTalk(`note: ${obstacle}`);
  return commandLine;
}

interface Setup {
  readonly settings: ClientSettings;
  readonly server: ExecServer;
  readonly config: Config;
}

function runIn({ settings, server, config }: Setup, command: readonly string[], signals: SignalRelay): Promise<number> {
  // The command gets a key of its own; the ones above it are none of its business.
  const environment: NodeJS.ProcessEnv = withoutSecrets(process.env);
  for (const name of settings.unset) delete environment[name];
  const set = [
    ...settings.set,
    ...bypassForwardProxy(server.url, process.env),
    ...describeOuterProxy(server, config.database),
  ];
  for (const [name, value] of set) environment[name] = value;
  return runCommand(command, environment, signals);
}
