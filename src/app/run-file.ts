/**
 * A small file for each proxy that runs, in the data folder of the user, by which `status` and `stop` find it. It says
 * where to ask, and is not believed: a proxy that was killed leaves it behind, and its number may be another process's
 * by now. Nothing in it is secret.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { thisProcessSpace } from '../keys/exec-key.ts';

/** What the file says. */
export interface RunFile {
  readonly path: string;
  /** The process that signals are for. */
  readonly pid: number;
  /** Where pids mean the same processes; see `ProcessSpace`. */
  readonly space: string;
  /** An IP address, or a name, at which this machine reaches the port. */
  readonly address: string;
  readonly port: number;
  readonly database: string;
  readonly startedAtMs: number;
}

function folderOf(dataFolder: string): string {
  return join(dataFolder, 'running');
}

/** Writes that of this process (0600). It goes when the process exits. Throws what `node:fs` does. */
export function writeRunFile(
  dataFolder: string,
  facts: Pick<RunFile, 'address' | 'port' | 'database' | 'startedAtMs'>,
): void {
  const { pid } = process;
  const folder = folderOf(dataFolder);
  const path = join(folder, `${pid}-${facts.port}.json`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  rmSync(path, { force: true });
  writeFileSync(path, `${JSON.stringify({ pid, space: thisProcessSpace(Date.now()).tag, ...facts })}\n`, {
    mode: 0o600,
    flag: 'wx',
  });
  process.once('exit', () => removeRunFile(path));
}

/** Removes it, if it is there and may be removed. */
export function removeRunFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It is not believed anyway.
  }
}

/** All that can be read, in the order of their ports. */
export function listRunFiles(dataFolder: string): readonly RunFile[] {
  const folder = folderOf(dataFolder);
  let names: readonly string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => readRunFile(join(folder, name)) ?? [])
    .toSorted((one, other) => one.port - other.port);
}

function readRunFile(path: string): RunFile | undefined {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as Partial<Record<keyof RunFile, unknown>>;
    const { pid, space, address, port, database, startedAtMs } = value;
    const isWhole =
      Number.isSafeInteger(pid) && Number(pid) > 1 && Number.isSafeInteger(port) && typeof startedAtMs === 'number';
    if (!isWhole || typeof space !== 'string' || typeof address !== 'string' || typeof database !== 'string') {
      return undefined;
    }
    return { path, pid: Number(pid), space, address, port: Number(port), database, startedAtMs };
  } catch {
    return undefined;
  }
}
