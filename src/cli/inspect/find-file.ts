/** Which file of exchanges a command is about. */
import { readInspectConfig } from '../../config/inspect-options.ts';
import type { Environment, Flags } from '../../config/options.ts';
import { ProxyError } from '../../lib/errors.ts';

/** That of `--inspect-db`, its variable or the configuration file. Throws ERR_BAD_OPTION if none is named. */
export function findInspectFile(flags: Flags, environment: Environment): string {
  const { inspectFile } = readInspectConfig(flags, environment);
  if (inspectFile !== undefined) return inspectFile;
  throw new ProxyError('ERR_BAD_OPTION', 'No file of exchanges is named.', {
    hint: 'Name it with --inspect-db, or BEDROCK_PROXY_INSPECT_DB. What is in memory is on the page of the proxy.',
  });
}
