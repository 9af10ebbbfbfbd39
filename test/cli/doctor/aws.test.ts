import { expect, it } from 'vitest';
import { checkClock, checkDefaultRegion, checkSsoLogin } from '../../../src/cli/doctor/aws.ts';

const NOW_MS = Date.UTC(2026, 0, 31);
const MINUTE_MS = 60_000;

it.each([
  [undefined, 'skip', 'did not answer'],
  [0, 'ok', '0 s'],
  [-59_000, 'ok', '59 s ahead of AWS'],
  [90_000, 'warn', '90 s behind AWS'],
  [-300_000, 'fail', '300 s ahead of AWS'],
])('judges a clock that is off by %s ms: %s', (skewMs, status, words) => {
  expect(checkClock(skewMs)).toMatchObject({ status, message: expect.stringContaining(words) });
});

it.each([
  { login: undefined, status: 'skip', words: 'does not use AWS SSO' },
  { login: { expiresAtMs: undefined, isRenewable: false }, status: 'fail', words: 'no login' },
  { login: { expiresAtMs: NOW_MS + 90 * MINUTE_MS, isRenewable: false }, status: 'ok', words: 'another 90 min' },
  { login: { expiresAtMs: NOW_MS - 5 * MINUTE_MS, isRenewable: true }, status: 'warn', words: 'renew itself' },
  { login: { expiresAtMs: NOW_MS - 5 * MINUTE_MS, isRenewable: false }, status: 'fail', words: 'expired 5 min ago' },
  { login: { expiresAtMs: NOW_MS - 39_054 * MINUTE_MS, isRenewable: false }, status: 'fail', words: '27 d ago' },
  { login: { expiresAtMs: NOW_MS + 480 * MINUTE_MS, isRenewable: false }, status: 'ok', words: 'another 8 h' },
])('judges the SSO login $login: $status', ({ login, status, words }) => {
  const result = checkSsoLogin(login, 'dev', NOW_MS);
  expect(result).toMatchObject({ status, message: expect.stringContaining(words) });
  if (status === 'fail') expect(result.hint).toContain('aws sso login --profile dev');
});

it('says where the default region comes from, or what to do', () => {
  expect(checkDefaultRegion({ name: 'eu-west-1', origin: 'AWS_REGION' }).message).toBe('eu-west-1 (AWS_REGION)');
  expect(checkDefaultRegion(undefined)).toMatchObject({ status: 'warn', hint: expect.stringContaining('--region') });
});
