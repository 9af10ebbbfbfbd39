/**
 * The keys that `exec` makes for one command: how they are named, and how those are found whose `exec` was killed
 * before it could revoke them. `exec`, `start` and every running server look, so that none outlives its command by
 * long.
 */
import { findCode } from '../lib/errno.ts';
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname, uptime } from 'node:os';
import type { KeyStore } from '../domain/store.ts';
import type { VirtualKeyRow } from '../domain/key.ts';

/** Where pids mean the same processes. */
export interface ProcessSpace {
  /** 8 hex digits for machine and pid namespace: a container that shares the database has other processes. */
  readonly tag: string;
  readonly bootedAtMs: number;
  readonly isAlive: (pid: number) => boolean;
}

/** A key of another machine or container is let live this long: nobody here can see whether its command still runs. */
const FOREIGN_LIFETIME_MS = 7 * 24 * 3_600_000;
/** The clock may have been set since the machine started. */
const BOOT_SLACK_MS = 60_000;
/** What every alias of ours begins with; a person's may too. */
const ALIAS_PREFIX = 'exec-';
const ALIAS = /^exec-(?:[\w.-]+-)?(\d{1,10})-([0-9a-f]{8})-[0-9a-f]{8}$/;
const MAX_COMMAND_LENGTH = 40;

/** Which command, in which process, a key is for. */
export interface ExecOwner {
  /** From `nameCommand`. */
  readonly command: string;
  readonly pid: number;
  readonly space: Pick<ProcessSpace, 'tag'>;
}

/** A name that says whose key it is, and that no other key has. */
export function execAlias({ command, pid, space }: ExecOwner, randomBytes: (size: number) => Buffer): string {
  return `${ALIAS_PREFIX}${command}-${pid}-${space.tag}-${randomBytes(4).toString('hex')}`;
}

/** The name of a program without folder and ending, as it may stand in an alias. Never empty. */
export function nameCommand(program: string): string {
  const name = program.split(/[\\/]/).at(-1) ?? '';
  return (
    name
      .replace(/\.(exe|cmd|bat)$/i, '')
      .replaceAll(/[^A-Za-z0-9_.-]/g, '_')
      .slice(0, MAX_COMMAND_LENGTH) || 'command'
  );
}

/** What people read instead of its alias: all keys of `exec` for one program have the same. */
export function execLabel(command: string): string {
  return `exec: ${command}`;
}

/** Whether a key was made by `exec`: also by one that did not yet say so. */
export function isExecKey({ alias, execCommand }: Pick<VirtualKeyRow, 'alias' | 'execCommand'>): boolean {
  return execCommand !== undefined || (alias !== undefined && ALIAS.test(alias));
}

/** The active ones whose command is over for certain: pid gone, machine restarted since, or too old to be believed. */
export function findStaleKeys(
  rows: readonly VirtualKeyRow[],
  space: ProcessSpace,
  nowMs: number,
): readonly VirtualKeyRow[] {
  return rows.filter((row) => {
    const [, pid, tag] = ALIAS.exec(row.alias ?? '') ?? [];
    if (pid === undefined || row.revokedAtMs !== undefined) return false;
    if (tag !== space.tag) return nowMs - row.createdAtMs > FOREIGN_LIFETIME_MS;
    return row.createdAtMs < space.bootedAtMs - BOOT_SLACK_MS || !space.isAlive(Number(pid));
  });
}

/** Revokes them. Throws ERR_STORE_UNAVAILABLE. A running server does it often, and may not read all keys for it. */
export async function revokeStaleKeys(
  store: Pick<KeyStore, 'findKeys' | 'revokeKey'>,
  space: ProcessSpace,
  nowMs: number,
): Promise<void> {
  const rows = await store.findKeys({ aliasPrefix: ALIAS_PREFIX });
  for (const { id } of findStaleKeys(rows, space, nowMs)) await store.revokeKey(id, nowMs);
}

/** The processes that this one can see. */
export function thisProcessSpace(nowMs: number): ProcessSpace {
  // The first label only: on some systems the rest changes with the network.
  const name = hostname().split('.')[0] ?? '';
  const tag = createHash('sha256').update(`${name} ${findPidNamespace()} ${findMachineId()}`).digest('hex').slice(0, 8);
  return { tag, bootedAtMs: nowMs - uptime() * 1000, isAlive };
}

function findPidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

/** Machines that share a database over the network may have one name. Only Linux says another one for sure. */
function findMachineId(): string {
  try {
    return readFileSync('/etc/machine-id', 'utf8').trim();
  } catch {
    return '';
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else.
    return findCode(error) === 'EPERM';
  }
}
