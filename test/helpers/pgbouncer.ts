/**
 * PgBouncer of this machine in front of a server, on a free port of the loopback interface. Where there is none,
 * `PGBOUNCER` is undefined, and tests are named as skipped.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { findClosedPort } from './ports.ts';
import { findPostgresUser, type PostgresServer } from './postgres.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

/** The program; undefined: the machine has none. */
export const PGBOUNCER = (process.env['PATH'] ?? '')
  .split(delimiter)
  .concat('/usr/sbin', '/usr/bin', '/usr/local/bin', '/opt/homebrew/bin')
  .map((folder) => join(folder, 'pgbouncer'))
  .find((path) => existsSync(path));

/**
 * Starts it in front of `server`, with two connections to a database in all. Ends with the test. Returns the URL there
 * of what has `url` at the server.
 */
export async function poolConnections(
  server: PostgresServer,
  url: string,
  mode: 'session' | 'transaction',
): Promise<string> {
  const folder = await makeTemporaryFolder();
  const port = await findClosedPort();
  const settings = [
    '[databases]',
    `* = host=127.0.0.1 port=${server.port}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = trust',
    `auth_file = ${join(folder, 'users.txt')}`,
    `pool_mode = ${mode}`,
    'default_pool_size = 2',
    'max_client_conn = 200',
  ];
  await writeFile(join(folder, 'users.txt'), '"owner" ""\n');
  await writeFile(join(folder, 'pgbouncer.ini'), settings.join('\n'));
  const user = findPostgresUser();
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid ?? user.uid);
  const child = spawn(PGBOUNCER ?? '', [join(folder, 'pgbouncer.ini')], { ...user, cwd: folder, stdio: 'ignore' });
  const ended = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  for (let attempt = 0; !(await accepts(port)); attempt += 1) {
    if (attempt > 200 || child.exitCode !== null) throw new Error('PgBouncer does not start');
    await delay(25);
  }
  return url.replace(`:${server.port}/`, `:${port}/`);
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
