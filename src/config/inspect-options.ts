/** The options of the inspector, read. Pure. */
import { resolve } from 'node:path';
import { ProxyError } from '../lib/errors.ts';
import { type Environment, findSetting, type Flags, parseSwitch } from './options.ts';

/** What is kept at most; undefined: as much as is usual. */
export interface InspectLimits {
  readonly maxExchanges: number | undefined;
  readonly maxBytes: number | undefined;
  readonly maxAgeMs: number | undefined;
  /** Exchanges in a second. */
  readonly maxPerSecond: number | undefined;
}

/** What is configured of the inspector. */
export interface InspectConfig {
  /** Whether content of exchanges is kept. */
  readonly inspect: boolean;
  /** Where, if not in memory. */
  readonly inspectFile: string | undefined;
  readonly inspectLimits: InspectLimits;
  /** Whether the page is there if others reach the port. */
  readonly inspectRemote: boolean;
  /** The page's token; undefined: one is drawn. */
  readonly inspectToken: string | undefined;
}

/** Of the page's token. */
export const INSPECT_TOKEN_VARIABLE = 'BEDROCK_PROXY_INSPECT_TOKEN';
/** 128 bits in Base64. */
const MIN_TOKEN_LENGTH = 22;
const BYTES: Readonly<Record<string, number>> = { kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 };
const MILLISECONDS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
const MIN_BYTES = 1024 ** 2;

/** Throws ERR_BAD_OPTION. */
export function readInspectConfig(flags: Flags, environment: Environment): InspectConfig {
  const file = findSetting('inspectDb', flags, environment)?.value;
  return {
    inspect: file !== undefined || parseSwitch(findSetting('inspect', flags, environment)),
    inspectFile: file && resolve(file),
    inspectLimits: parseInspectLimits(findSetting('inspectLimit', flags, environment)?.value ?? ''),
    inspectRemote: parseSwitch(findSetting('inspectRemote', flags, environment)),
    inspectToken: readToken(environment[INSPECT_TOKEN_VARIABLE]),
  };
}

/** `256mb`, `7d`, `1000`, `500/s`, or several with commas between. Throws ERR_BAD_OPTION. */
function parseInspectLimits(text: string): InspectLimits {
  const limits: { -readonly [Name in keyof InspectLimits]: InspectLimits[Name] } = {
    maxExchanges: undefined,
    maxBytes: undefined,
    maxAgeMs: undefined,
    maxPerSecond: undefined,
  };
  for (const part of text.split(',').filter((each) => each.trim() !== '')) {
    const [, digits = '', unit = ''] = /^(\d{1,9})(kb|mb|gb|m|h|d|\/s)?$/.exec(part.trim().toLowerCase()) ?? [];
    const [bytes, milliseconds] = [BYTES[unit], MILLISECONDS[unit]];
    if (digits === '' || Number(digits) === 0) throw badLimit(part);
    if (unit === '/s') limits.maxPerSecond = Number(digits);
    else if (bytes !== undefined) limits.maxBytes = Number(digits) * bytes;
    else if (milliseconds !== undefined) limits.maxAgeMs = Number(digits) * milliseconds;
    else limits.maxExchanges = Number(digits);
  }
  if (limits.maxBytes !== undefined && limits.maxBytes < MIN_BYTES) throw badLimit(text);
  return limits;
}

function badLimit(text: string): ProxyError {
  return new ProxyError('ERR_BAD_OPTION', `--inspect-limit: "${text.trim()}" is no limit.`, {
    hint:
      'Give a size from 1mb on (256mb), an age (7d, 12h), a number of exchanges (1000), how many a second (500/s), ' +
      'or several: 64mb,1h.',
  });
}

function readToken(given: string | undefined): string | undefined {
  if (given === undefined || given === '') return undefined;
  if (given.length >= MIN_TOKEN_LENGTH && /^[\w-]+$/.test(given)) return given;
  throw new ProxyError(
    'ERR_BAD_OPTION',
    `${INSPECT_TOKEN_VARIABLE} must have ${MIN_TOKEN_LENGTH} characters, of A-Z a-z 0-9 _ -.`,
  );
}
