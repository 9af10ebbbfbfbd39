// Tests without an AWS account and without a network: the offline Bedrock answers by script.json.
import { useOfflineBedrock } from 'bedrock-proxy/vitest';
import { expect, test } from 'vitest';
import { advise } from '../advise.mjs';

useOfflineBedrock({ script: 'test/script.json' });

test('asks for the weather of the city, and passes on what the model says', async () => {
  const cities = [];
  const findWeather = (city) => (cities.push(city), 'heavy rain');
  expect(await advise('What shall I wear in Paris?', findWeather)).toBe('Take an umbrella.');
  expect(cities).toEqual(['Paris']);
});

test('tries again when Bedrock is busy', async () => {
  expect(await advise('And on a busy day?', () => '')).toBe('Anything.');
});

test('says that a question is too long', async () => {
  expect(await advise('Tell me everything.', () => '')).toBe('That question is too long.');
});
