import { expect, it } from 'vitest';
import { refuseMalformedArn } from '../../src/protocol/arn-check.ts';

it.each([
  ['arn:aws', 'ends before its service'],
  ['arn:aws:bedrock:us-east-1:123456789012', 'ends before its resource'],
  ['arn:awz:bedrock:us-east-1:123456789012:prompt/P', 'no partition "awz"'],
  ['arn:aws:Bed_rock:us-east-1:123456789012:prompt/P', '"Bed_rock" is no service'],
  ['arn:aws:bedrock:us-eest:123456789012:prompt/P', '"us-eest" is no region of the partition aws'],
  ['arn:aws-cn:bedrock:us-east-1:123456789012:prompt/P', '"us-east-1" is no region of the partition aws-cn'],
  ['arn:aws:bedrock:us-east-1:12345:prompt/P', '"12345" is no account id'],
  ['arn:aws:bedrock:us-east-1:123456789012:', 'resource is missing'],
  ['ARN:aws:bedrock:us-east-1:123456789012:prompt/P', 'lower case'],
  [`arn:aws:bedrock:us-east-1:123456789012:prompt/${'p'.repeat(2048)}`, 'more than 2048 characters'],
])('says what is wrong with the ARN %s', (arn, words) => {
  for (const segment of [arn.replaceAll('/', '%2F'), encodeURIComponent(arn)]) {
    expect(() => refuseMalformedArn(`/model/${segment}/converse`)).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_ARN', status: 400, message: expect.stringContaining(words) }),
    );
  }
});

it.each([
  'arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2:1',
  'arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:application-inference-profile/abc',
  'arn:aws:bedrock:us-east-1:aws:evaluator/x',
  'arn:aws:sagemaker:eu-west-1:123456789012:endpoint/e',
  'arn:aws:bedrock:us-east-1:123456789012:a-type-nobody-knows-yet/x:y:z',
  'arnica-model-v1:0',
  'amazon.nova-lite-v1:0',
])('finds no fault with %s', (id) => {
  expect(() => refuseMalformedArn(`/model/${encodeURIComponent(id)}/converse`)).not.toThrow();
});
