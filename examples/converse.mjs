// A conversation through the proxy, whole and then streamed. Signs with the key pair of the environment.
import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } from '@aws-sdk/client-bedrock-runtime';

const client = new BedrockRuntimeClient({
  region: process.env.AWS_REGION ?? 'us-east-1',
  endpoint: process.env.PROXY_URL ?? 'http://localhost:4000/bedrock',
});
const input = {
  modelId: 'amazon.nova-lite-v1:0',
  messages: [{ role: 'user', content: [{ text: 'Hello' }] }],
};

const { output, usage } = await client.send(new ConverseCommand(input));
console.log(output.message.content[0].text);
console.log(`tokens: ${usage.inputTokens} in, ${usage.outputTokens} out`);

const { stream } = await client.send(new ConverseStreamCommand(input));
for await (const event of stream) process.stdout.write(event.contentBlockDelta?.delta?.text ?? '');
process.stdout.write('\n');
client.destroy();
