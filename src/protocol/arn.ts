/**
 * Reads Amazon Resource Names and model ids out of raw path segments. Pure and tolerant: what is no ARN is undefined.
 */

/** An Amazon Resource Name, taken apart. */
export interface Arn {
  readonly partition: string;
  readonly service: string;
  /** Empty if the resource has none. */
  readonly region: string;
  /** What stands before the first `/` or `:` of the resource: `inference-profile`, `session`. */
  readonly resourceType: string;
}

/**
 * A raw segment as people read it. Only escapes of printable ASCII are decoded, once; any other stays as written, so
 * that the result can stand in a log line.
 */
export function decodeSegment(segment: string): string {
  if (!segment.includes('%')) return segment;
  return segment.replaceAll(/%([2-7][0-9a-f])/gi, (escape, hex: string) => {
    const code = Number.parseInt(hex, 16);
    return code === 0x7f ? escape : String.fromCharCode(code);
  });
}

/** The ARN that a decoded text is, wholly. */
export function parseArn(text: string): Arn | undefined {
  if (!text.startsWith('arn:')) return undefined;
  const [, partition, service, region, account, ...resource] = text.split(':', 64);
  if (!partition || !service || region === undefined || account === undefined || resource.length === 0) {
    return undefined;
  }
  const resourceType = resource[0]?.split('/', 1)[0] ?? '';
  return { partition, service, region, resourceType };
}

/** The first ARN that stands as a segment of a raw path, percent-encoded or not. */
export function findArnInPath(path: string): Arn | undefined {
  const at = path.search(/\/arn(?::|%3a)/i);
  if (at === -1) return undefined;
  const end = path.indexOf('/', at + 1);
  return parseArn(decodeSegment(path.slice(at + 1, end === -1 ? undefined : end)));
}
