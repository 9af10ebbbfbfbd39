// The same program with what was recorded in cassettes/advise. To record it anew, with an AWS account:
// BEDROCK_PROXY_CASSETTE_MODE=record npm test
import { useCassette } from 'bedrock-proxy/vitest';
import { expect, test } from 'vitest';
import { advise } from '../advise.mjs';

useCassette('advise', { strict: true });

test('says what was recorded', async () => {
  expect(await advise('What shall I wear in Paris?', () => 'heavy rain')).toContain('umbrella');
});
