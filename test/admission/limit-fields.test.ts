/** Which of the places in a body limit the response, say how it is served, and how it arrives. */
import { describe, expect, it } from 'vitest';
import { findFacts } from '../../src/operations/find-facts.ts';
import { findLimitFields, findServingFields, MAX_TOKENS } from '../../src/admission/limit-fields.ts';

const serviceOf = (operation: string | undefined): string =>
  operation?.includes('Agent') === true ? 'bedrock-agent-runtime' : 'bedrock-runtime';

describe('what limits the response', () => {
  it.each([
    { operation: 'Converse', pathModel: 'm', place: 'inferenceConfig.maxTokens', decoy: 'max_tokens' },
    { operation: 'ConverseStream', pathModel: 'm', place: 'inferenceConfig.maxTokens', decoy: 'maxTokens' },
    { operation: 'ChatCompletions', pathModel: undefined, place: 'max_completion_tokens', decoy: 'max_output_tokens' },
    { operation: 'CreateResponse', pathModel: undefined, place: 'max_output_tokens', decoy: 'max_tokens' },
    { operation: 'CreateMessage', pathModel: undefined, place: 'max_tokens', decoy: 'max_gen_len' },
    { operation: 'InvokeModel', pathModel: 'us.anthropic.claude-x', place: 'max_tokens', decoy: 'max_gen_len' },
    {
      operation: 'InvokeModel',
      pathModel: 'arn:aws:bedrock:us-east-1::foundation-model/meta.llama3-1',
      place: 'max_gen_len',
      decoy: 'max_tokens',
    },
    {
      operation: 'InvokeModelWithResponseStream',
      pathModel: 'amazon.nova-lite-v1:0',
      place: 'inferenceConfig.max_new_tokens',
      decoy: 'max_tokens',
    },
    { operation: 'InvokeModel', pathModel: 'qwen.qwen3-32b', place: 'max_tokens', decoy: 'max_gen_len' },
  ])(
    'reads the limit of $operation to $pathModel in $place, not in $decoy',
    ({ operation, pathModel, place, decoy }) => {
      const places = findLimitFields(findFacts(serviceOf(operation), operation), pathModel);
      expect([places.has(place), places.has(decoy)]).toEqual([true, false]);
      // What is not scanned for is never found.
      expect(MAX_TOKENS).toEqual(expect.arrayContaining([...places, decoy]));
    },
  );

  it.each([
    { operation: 'InvokeModel', pathModel: 'abc1def2ghi3' },
    { operation: 'InvokeInlineAgent', pathModel: undefined },
    { operation: undefined, pathModel: undefined },
  ])('reads any field as the limit of $operation to $pathModel', ({ operation, pathModel }) => {
    expect([...findLimitFields(findFacts(serviceOf(operation), operation), pathModel)]).toEqual(MAX_TOKENS);
  });
});

it.each([
  { operation: 'Converse', tierPaths: ['serviceTier.type'], inHeader: false },
  { operation: 'InvokeModel', tierPaths: [], inHeader: true },
  { operation: 'CreateResponse', tierPaths: ['service_tier'], inHeader: false },
  { operation: 'InvokeInlineAgent', tierPaths: ['serviceTier.type', 'service_tier'], inHeader: true },
])('reads the tier of $operation where AWS reads it', ({ operation, tierPaths, inHeader }) => {
  expect(findServingFields(findFacts(serviceOf(operation), operation))).toMatchObject({ tierPaths, inHeader });
});
