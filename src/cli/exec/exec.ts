/**
 * `exec`: runs one command with the variables that point its client at the proxy, and with a key that is made for it
 * and revoked when it ends. Starts a proxy of its own where none runs. Ends with the command's own exit code.
 */
import { randomBytes } from 'node:crypto';
import { mintKey } from '../../keys/mint.ts';
import { type Config, MASTER_KEY_VARIABLES, MOUNT_PATH, readConfig, SALT_KEY_VARIABLE } from '../../config/config.ts';
import type { Flags } from '../../config/options.ts';
import { toProxyError } from '../../lib/errors.ts';
import { openStore } from '../../app/open-store.ts';
import type { Store } from '../../domain/store.ts';
import { baseUrl } from '../../app/banner.ts';
import { type ClientName, type ClientSettings, describeClient } from '../env/client-settings.ts';
import { bypassForwardProxy } from '../env/env.ts';
import { relaySignals, runCommand, type SignalRelay } from './command.ts';
import { findKnownAgent, type KnownAgent } from './known-agent.ts';
import { execAlias, revokeStaleKeys, thisProcessSpace } from '../../keys/exec-key.ts';
import { findProxyVersion, provesItself, type ServerAddress, takesKey } from '../../app/running-proxy.ts';
import { startServerChild } from './server.ts';
import { type ClientKey, openKey, requireUsableKey } from '../key/client-key.ts';
import { findServerSecret } from '../../keys/server-secret.ts';
import { printError, printTalk } from '../../app/print.ts';
import { findRegion } from '../../app/start.ts';
import { preferTls } from '../../app/tls.ts';

interface ExecInput extends Flags {
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly for: ClientName | undefined;
  readonly key: string | undefined;
}

/** Runs it and gives its exit code. Throws where it does not get as far as running it. */
export async function execute(input: ExecInput): Promise<number> {
  const config = readConfig(input, process.env);
  const store = await openStore(config.databasePath);
  const signals = relaySignals();
  try {
    await revokeStaleKeys(store, thisProcessSpace(Date.now()), Date.now());
    return await withKey(store, config, input.key, (key) =>
      withServer(config, input, key, async ({ url, caFile }) => {
        if (signals.endedEarly !== undefined) return signals.endedEarly;
        const region = (await findRegion(config))?.name;
        const { accessKeyId } = key;
        const agent = findKnownAgent(input.command);
        const client = input.for ?? agent?.client;
        const settings = describeClient({ client, url, accessKeyId, key: key.key, region, caFile });
        return runIn(
          settings,
          url,
          addArguments(input.command, settings, agent?.client === client ? agent : undefined),
          signals,
        );
      }),
    );
  } finally {
    signals.stop();
    await store.close();
  }
}

/** With `--key` that key, which stays; otherwise a fresh one, revoked as soon as `work` is over. */
async function withKey<T>(
  store: Store,
  config: Config,
  name: string | undefined,
  work: (key: ClientKey) => Promise<T>,
): Promise<T> {
  if (name !== undefined) return work(openKey(await requireUsableKey(store, name), config));
  if (config.masterKey === undefined && !(await store.hasAnyKey())) {
    printTalk('note: This is the first key of this database: from now on the proxy asks everybody for one.');
  }
  const minted = await mintKey({
    store,
    serverSecret: findServerSecret(config.databasePath, config.saltKey),
    alias: execAlias(process.pid, thisProcessSpace(Date.now()), randomBytes),
    nowMs: Date.now(),
    randomBytes,
  });
  try {
    return await work(minted);
  } finally {
    // The command's exit code counts more than this; what stays behind is revoked by the next sweep.
    await store.revokeKey(minted.id, Date.now()).catch((thrown: unknown) => printError(toProxyError(thrown), false));
  }
}

/**
 * The proxy that runs on the port, where it is ours and nothing was said about the upstream; otherwise one for this
 * command.
 */
async function withServer<T>(
  config: Config,
  input: Flags,
  { key }: ClientKey,
  work: (server: ServerAddress) => Promise<T>,
): Promise<T> {
  const running = await preferTls(baseUrl({ host: config.host, port: config.port, mountPath: MOUNT_PATH }), config);
  const mayShare = !namesUpstream(config, input) && config.port !== 0;
  if (mayShare && (await findProxyVersion(running)) !== undefined) {
    // Whoever is quicker can have the port and speak like us: no key before it has proved whose it is.
    const serverSecret = findServerSecret(config.databasePath, config.saltKey);
    const { host, port } = config;
    if ((await provesItself(running, { serverSecret, host, port })) && (await takesKey(running, key)))
      return work(running);
    printTalk(`note: What listens on port ${port} is no proxy of this database; the command gets one of its own.`);
  }
  const server = await startServerChild(argumentsForStart(config, input), process.env);
  try {
    // Its certificate is there by now, and shared by every proxy of this database.
    return await work(
      config.tls === undefined ? { ...server, caFile: undefined } : await preferTls(server.url, config),
    );
  } finally {
    await server.end();
  }
}

/** A proxy that runs may have another profile, region or upstream than the ones asked for here; so it is not taken. */
function namesUpstream({ offline, endpointUrls }: Config, { profile, region }: Flags): boolean {
  return offline || endpointUrls.size > 0 || profile !== undefined || region !== undefined;
}

function argumentsForStart({ databasePath }: Config, input: Flags): string[] {
  const args = ['--db', databasePath];
  if (input.profile !== undefined) args.push('--profile', input.profile);
  if (input.region !== undefined) args.push('--region', input.region);
  if (input.offline) args.push('--offline');
  if (input.tls) args.push('--tls');
  for (const url of input.endpointUrl ?? []) args.push('--endpoint-url', url);
  return args;
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

function runIn(
  { set, unset }: ClientSettings,
  url: string,
  commandLine: readonly string[],
  signals: SignalRelay,
): Promise<number> {
  const environment: NodeJS.ProcessEnv = { ...process.env };
  // The command gets a key of its own; the ones above it are none of its business.
  for (const name of [...unset, ...MASTER_KEY_VARIABLES, SALT_KEY_VARIABLE]) delete environment[name];
  for (const [name, value] of [...set, ...bypassForwardProxy(url, process.env)]) environment[name] = value;
  return runCommand(commandLine, environment, signals);
}
