/** Asynchronous invocations of the offline Bedrock, through the AWS SDK for JavaScript. */
import {
  BedrockRuntimeClient,
  GetAsyncInvokeCommand,
  ListAsyncInvokesCommand,
  paginateListAsyncInvokes,
  StartAsyncInvokeCommand,
} from '@aws-sdk/client-bedrock-runtime';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { OfflineBedrock } from '../../../src/upstream/offline/server.ts';
import { sdkSettings, startForTest } from '../../helpers/offline-bedrock.ts';

const outputDataConfig = { s3OutputDataConfig: { s3Uri: 's3://my-bucket/videos' } };
const INPUT = { modelId: 'amazon.nova-reel-v1:0', modelInput: { taskType: 'TEXT_VIDEO' }, outputDataConfig };

let bedrock: OfflineBedrock;
let client: BedrockRuntimeClient;
let lateMs = 0;

beforeEach(async () => {
  lateMs = 0;
  bedrock = await startForTest({ nowMs: () => Date.now() + lateMs });
  client = new BedrockRuntimeClient(sdkSettings(bedrock.port));
});

afterEach(async () => {
  client.destroy();
  await bedrock.close();
});

it('runs an asynchronous invocation until it is completed', async () => {
  const { invocationArn } = await client.send(new StartAsyncInvokeCommand(INPUT));
  expect(invocationArn).toMatch(/^arn:aws:bedrock:us-east-1:123456789012:async-invoke\/[a-z0-9]{12}$/);
  const begun = await client.send(new GetAsyncInvokeCommand({ invocationArn }));
  expect(begun).toMatchObject({ status: 'InProgress', outputDataConfig, submitTime: expect.any(Date) });
  expect(begun.endTime).toBeUndefined();
  lateMs = 3000;
  const done = await client.send(new GetAsyncInvokeCommand({ invocationArn }));
  expect(done).toMatchObject({ status: 'Completed', endTime: expect.any(Date) });
});

it('starts one asynchronous invocation for one token', async () => {
  const input = { ...INPUT, clientRequestToken: 'once' };
  const [one, other] = [
    await client.send(new StartAsyncInvokeCommand(input)),
    await client.send(new StartAsyncInvokeCommand(input)),
  ];
  expect(one.invocationArn).toBe(other.invocationArn);
});

it('lists asynchronous invocations in pages, by status', async () => {
  const arns: unknown[] = [];
  for (let index = 0; index < 3; index++) {
    arns.push((await client.send(new StartAsyncInvokeCommand(INPUT))).invocationArn);
  }
  const listed: unknown[] = [];
  for await (const page of paginateListAsyncInvokes({ client, pageSize: 2 }, {})) {
    listed.push(...(page.asyncInvokeSummaries ?? []).map((summary) => summary.invocationArn));
  }
  expect(listed).toEqual(arns.toReversed());
  const { asyncInvokeSummaries } = await client.send(new ListAsyncInvokesCommand({ statusEquals: 'Completed' }));
  expect(asyncInvokeSummaries).toEqual([]);
});

it.each([
  { name: 'a model that answers at once', input: { modelId: 'amazon.nova-lite-v1:0' }, says: 'async' },
  { name: 'no model', input: { modelId: 'x' }, says: 'identifier is invalid' },
  { name: 'no bucket', input: { outputDataConfig: { s3OutputDataConfig: { s3Uri: 'x' } } }, says: 's3Uri' },
])('starts no asynchronous invocation of $name', async ({ input, says }) => {
  const sent = client.send(new StartAsyncInvokeCommand({ ...INPUT, ...input }));
  await expect(sent).rejects.toMatchObject({ name: 'ValidationException', message: expect.stringContaining(says) });
});
