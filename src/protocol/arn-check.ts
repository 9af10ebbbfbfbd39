/**
 * Refuses a malformed ARN in the path, and says which part is wrong: AWS only says that something is. Pure. A
 * well-formed ARN passes, whatever its resource type: AWS adds new ones.
 */
import { ProxyError } from '../lib/errors.ts';
import { quote } from '../lib/printable.ts';
import { decodeSegment } from './arn.ts';
import { PARTITIONS } from './partitions.ts';
import { findPartition } from './region.ts';

const PARTS = ['arn', 'partition', 'service', 'region', 'account', 'resource'];
/** Twelve digits; `aws` for what AWS owns; empty for foundation models. */
const ACCOUNT_SHAPE = /^(?:\d{12}|aws)?$/;
/** Longest model identifier (Bedrock's API models). */
const MAX_ARN_LENGTH = 2048;
const MAX_SHOWN = 40;

/** Looks at the first segment of a raw path that begins like an ARN, percent-encoded or not. Throws ERR_BAD_ARN. */
export function refuseMalformedArn(path: string): void {
  const at = path.search(/\/arn(?::|%3a)/i);
  if (at === -1) return;
  const end = path.indexOf('/', at + 1);
  const problem = findProblem(decodeSegment(path.slice(at + 1, end === -1 ? undefined : end)));
  if (problem === undefined) return;
  throw new ProxyError('ERR_BAD_ARN', `The ARN in the path is malformed: ${problem}.`, {
    hint: 'An ARN reads arn:partition:service:region:account:resource.',
  });
}

function findProblem(arn: string): string | undefined {
  if (arn.length > MAX_ARN_LENGTH) return `it has more than ${MAX_ARN_LENGTH} characters`;
  const parts = arn.split(':');
  const [prefix, partitionName = '', service = '', region = '', account = '', ...resource] = parts;
  if (prefix !== 'arn') return 'it must begin with arn: in lower case';
  if (resource.length === 0) return `it ends before its ${PARTS[parts.length] ?? 'resource'}`;
  if (!PARTITIONS.some(({ id }) => id === partitionName))
    return `there is no partition ${quote(partitionName, MAX_SHOWN)}`;
  if (!/^[a-z0-9-]+$/.test(service)) return `${quote(service, MAX_SHOWN)} is no service`;
  if (region !== '' && findPartition(region)?.id !== partitionName) {
    return `${quote(region, MAX_SHOWN)} is no region of the partition ${partitionName}`;
  }
  if (!ACCOUNT_SHAPE.test(account)) return `${quote(account, MAX_SHOWN)} is no account id of 12 digits`;
  return resource.join(':') === '' ? 'its resource is missing' : undefined;
}
