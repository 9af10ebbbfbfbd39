/**
 * The processes of a bench run: starts them with a probe inside, asks them for their memory, processor time and
 * profile, ends them.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { ProbeMessages, ThreadProfile, Usage } from './probe.ts';

/** What is forked, with the probe in it. */
export interface Start {
  readonly script: string;
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

/** Where a stand-in of the bench listens. */
export interface Ports {
  readonly port: number;
  readonly http2Port?: number;
}

/** Starts a Node program that answers the questions below. */
export function startProbed({ script, args, environment }: Start): ChildProcess {
  const probe = new URL('./probe.ts', import.meta.url).href;
  return fork(script, args, {
    env: environment,
    execArgv: ['--disable-warning=ExperimentalWarning', '--expose-gc', '--import', probe],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

/** Resolves when a stand-in says that it listens; rejects if it ends. */
export async function isReady(child: ChildProcess): Promise<Ports> {
  const gone = once(child, 'exit').then(() => Promise.reject(new Error(`${child.spawnargs[1]} ended at once`)));
  return await Promise.race([nextMessage(child, 'ready'), gone]);
}

/** Memory and processor time of a probed process. */
export function usageOf(child: ChildProcess): (options: { afterGc: boolean }) => Promise<Usage> {
  return async ({ afterGc }) => {
    const usage = nextMessage(child, 'usage');
    child.send({ usageAfterGc: afterGc });
    return await usage;
  };
}

/** Profiles every thread of a probed process between `start` and `stop`, which leaves one file per thread. */
export interface Profiling {
  start(): Promise<void>;
  stop(folder: string): Promise<ThreadProfile[]>;
}

/** The profiling of a probed process. */
export function profilingOf(child: ChildProcess): Profiling {
  return {
    start: async () => {
      const started = nextMessage(child, 'profiling');
      child.send({ profile: 'start' });
      await started;
    },
    stop: async (folder) => {
      const profiled = nextMessage(child, 'profiles');
      child.send({ profile: 'stop', folder });
      return await profiled;
    },
  };
}

interface Messages extends ProbeMessages {
  readonly ready: Ports;
}

/** The content of the next message of this name; bedrock-proxy has messages of its own, which do not count. */
function nextMessage<Name extends keyof Messages>(child: ChildProcess, name: Name): Promise<Messages[Name]> {
  return new Promise((resolve) => {
    const onMessage = (message: Partial<Messages>): void => {
      const content = message[name];
      if (content === undefined) return;
      child.off('message', onMessage);
      resolve(content);
    };
    child.on('message', onMessage);
  });
}

/** A port on which no program listens now. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Tries until a connection opens; rejects when the child has ended instead. */
export async function untilPortResponds(port: number, child: ChildProcess): Promise<void> {
  while (!(await doesRespond(port))) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`${child.spawnargs[1]} ended with ${child.exitCode ?? child.signalCode}`);
    }
    await delay(1);
  }
}

function doesRespond(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const finish = (responds: boolean): void => {
      socket.destroy();
      resolve(responds);
    };
    socket.once('connect', () => finish(true)).once('error', () => finish(false));
  });
}

/** Ends a child with SIGTERM, and with SIGKILL if that is not enough. */
export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await gone;
  clearTimeout(killer);
}
