/**
 * Whether a file is what it should be for us to trust it: ours, and nobody else's to change or, if it is a secret, to
 * read. As sshd and PostgreSQL have it. Not asked on Windows, whose files have no such owner and mode.
 */
import { chmodSync, lstatSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type ErrorCode, ProxyError } from './errors.ts';

/** What a file must be, and the words of the error if it is not. */
export interface PrivateFile {
  /** The words for it at the beginning of a sentence. */
  readonly name: string;
  readonly code: ErrorCode;
  /** Others may not even read it. */
  readonly isSecret: boolean;
  /** A file that we made: what its group may do is taken away. Backups and volumes of containers come back so. */
  readonly isMadeByUs: boolean;
  /** What to do instead of making it private. */
  readonly alternative: string;
}

const GROUP_READ = 0o040;
const GROUP_WRITE = 0o020;
const OTHERS_READ = 0o004;
const OTHERS_WRITE = 0o002;
const ROOT = 0;

/**
 * Throws if another user owns the file or may change it, if others may read a secret, and if it is a symbolic link to
 * nothing. Owners that count as ourselves: this user; root; and for root, which may run on behalf of a user or in a
 * container, whoever owns the folder, because who owns the folder can replace the file anyway. Root's file may be read
 * by its group. A file that is missing is no problem. Throws what `node:fs` does as well.
 */
export function requirePrivateFile(path: string, file: PrivateFile, userId = process.geteuid?.()): void {
  if (userId === undefined) return;
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (entry === undefined) return;
  const stats = entry.isSymbolicLink() ? statSync(path, { throwIfNoEntry: false }) : entry;
  if (stats === undefined) throw refusal(path, file, 'is a symbolic link to nothing', 'Remove the link.');
  // A pipe of a shell, say.
  if (!stats.isFile()) return;
  const foreign = [entry, stats].find(({ uid }, index) => !isTrusted(uid, path, { userId, follows: index === 1 }));
  if (foreign !== undefined) {
    throw refusal(path, file, `belongs to another user (${foreign.uid})`, 'If you trust it, make it yours (chown).');
  }
  refuseOpenMode(path, file, stats, userId);
}

function isTrusted(
  ownerId: number,
  path: string,
  { userId, follows }: { readonly userId: number; readonly follows: boolean },
): boolean {
  if (ownerId === userId || ownerId === ROOT) return true;
  return userId === ROOT && statSync(dirname(follows ? realpathSync(path) : path)).uid === ownerId;
}

function refuseOpenMode(path: string, file: PrivateFile, { mode, uid }: Stats, userId: number): void {
  const shown = (mode & 0o777).toString(8);
  const forOthers = OTHERS_WRITE | (file.isSecret ? OTHERS_READ : 0);
  // A group of root's was chosen by whoever runs the machine; but what we make, we make for ourselves.
  const readers = file.isSecret && (uid !== ROOT || (file.isMadeByUs && userId === ROOT)) ? GROUP_READ : 0;
  const forGroup = GROUP_WRITE | readers;
  const isOpen = (mode & (forOthers | forGroup)) !== 0;
  if (!isOpen) return;
  const isOurs = file.isMadeByUs && (uid === userId || userId === ROOT);
  if (isOurs && (mode & forOthers) === 0 && takeFromGroup(path, mode)) return;
  const verb = (mode & (OTHERS_WRITE | GROUP_WRITE)) === 0 ? 'read' : 'changed';
  const hint = 'If you trust it, make it private (chmod 600); on a drive that keeps no modes, that does nothing.';
  throw refusal(path, file, `can be ${verb} by other users (mode ${shown})`, hint);
}

/** False if the file system does not let us, or is read-only. */
function takeFromGroup(path: string, mode: number): boolean {
  try {
    chmodSync(path, mode & 0o700);
    return true;
  } catch {
    return false;
  }
}

function refusal(path: string, { name, code, alternative }: PrivateFile, what: string, hint: string): ProxyError {
  return new ProxyError(code, `${name} ${what}.`, { hint: `${hint} ${alternative}`, detail: path });
}
