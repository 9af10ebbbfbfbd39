// A small program that calls Bedrock: it lets a model ask for the weather, and says what the model makes of it. It knows nothing of tests.
import { BedrockRuntimeClient, ConverseCommand } from '@aws-sdk/client-bedrock-runtime';

const MODEL = 'us.anthropic.claude-haiku-4-5-20251001-v1:0';
const city = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const toolConfig = { tools: [{ toolSpec: { name: 'get_weather', inputSchema: { json: city } } }] };

/** What to wear. `findWeather` is given the city that the model asks for. */
export async function advise(question, findWeather) {
  const client = new BedrockRuntimeClient({ retryMode: 'standard', maxAttempts: 3 });
  const messages = [{ role: 'user', content: [{ text: question }] }];
  try {
    for (let round = 0; round < 5; round += 1) {
      const { output, stopReason } = await client.send(new ConverseCommand({ modelId: MODEL, messages, toolConfig }));
      messages.push(output.message);
      if (stopReason !== 'tool_use') return output.message.content.map(({ text }) => text ?? '').join('');
      const calls = output.message.content.flatMap(({ toolUse }) => toolUse ?? []);
      const results = calls.map(async ({ toolUseId, input }) => ({
        toolResult: { toolUseId, content: [{ text: await findWeather(input.city) }] },
      }));
      messages.push({ role: 'user', content: await Promise.all(results) });
    }
    throw new Error('The model asks for the weather again and again.');
  } catch (error) {
    if (error.name === 'ValidationException') return 'That question is too long.';
    throw error;
  } finally {
    client.destroy();
  }
}
