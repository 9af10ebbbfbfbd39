import { expect, it } from 'vitest';
import { readExecLimits } from '../../../src/cli/key/options.ts';

it('takes the profile of `exec` for that of its proxy, and for no limit of a key', () => {
  const flags = { profile: 'dev', key: undefined, expires: undefined, tag: undefined };
  expect(readExecLimits({ ...flags, key: 'alice' }, 0)).toBeUndefined();
  expect(readExecLimits({ ...flags, rpm: '5' }, 0)?.policy).toMatchObject({ requestsPerMinute: 5, profile: undefined });
});
