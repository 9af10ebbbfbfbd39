/**
 * `credential-process`: the AWS pair of a virtual key in the form that AWS tools take from the `credential_process`
 * setting of a profile, so that a line in ~/.aws/config leads a client here. Prints that JSON and nothing else on
 * stdout.
 */
import { readConfig } from '../../config/config.ts';
import type { Flags } from '../../config/options.ts';
import { findClientKey } from '../key/client-key.ts';
import { printData } from '../../app/print.ts';

/**
 * Format: AWS SDKs and Tools Reference Guide, "Process credential provider". Expiration, in whole seconds, only of a
 * key that has an end: clients ask again shortly before it, and find the key that a rotation put in its place.
 */
export async function printProcessCredentials(input: Flags & { readonly key: string | undefined }): Promise<void> {
  const config = readConfig(input, process.env);
  const { accessKeyId, key, endsAtMs } = await findClientKey(input.key, config);
  const end = endsAtMs === undefined ? {} : { Expiration: wholeSeconds(endsAtMs) };
  printData(JSON.stringify({ Version: 1, AccessKeyId: accessKeyId, SecretAccessKey: key, ...end }));
}

function wholeSeconds(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
