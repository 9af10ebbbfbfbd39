// What a JavaScript SDK makes of each fault: CASES, a list of id, mode and key, becomes one JSON object a line. CLIENT
// says which SDK.
import process from 'node:process';

const TIMEOUT_MS = 3000;
const { CLIENT, PROXY_URL, CASES = '[]', AT_ONCE } = process.env;
const PROMPT = 'Hello';
const answerOf = (model) => `Offline answer of ${model.replace(/^us\./, '')}: you said: ${PROMPT}`;

const NOVA = 'amazon.nova-lite-v1:0';
const CLAUDE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const GPT = 'openai.gpt-oss-120b-1:0';

/** Each asks once, and gives the text that came. */
const CLIENTS = {
  'aws-sdk': async () => {
    const { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } =
      await import('@aws-sdk/client-bedrock-runtime');
    const { NodeHttpHandler } = await import('@smithy/node-http-handler');
    const input = { modelId: NOVA, messages: [{ role: 'user', content: [{ text: PROMPT }] }] };
    return {
      model: NOVA,
      ask: async ({ mode, key, accessKeyId }) => {
        const timeouts = { requestTimeout: TIMEOUT_MS, socketTimeout: TIMEOUT_MS, throwOnRequestTimeout: true };
        const client = new BedrockRuntimeClient({
          region: 'us-east-1',
          endpoint: PROXY_URL,
          credentials: { accessKeyId, secretAccessKey: key },
          requestHandler: new NodeHttpHandler(timeouts),
        });
        if (mode === 'call') return (await client.send(new ConverseCommand(input))).output?.message.content[0].text;
        let text = '';
        const { stream } = await client.send(new ConverseStreamCommand(input));
        for await (const event of stream) text += event.contentBlockDelta?.delta.text ?? '';
        return text;
      },
    };
  },
  anthropic: async () => {
    const { default: AnthropicBedrock } = await import('@anthropic-ai/bedrock-sdk');
    const input = { model: CLAUDE, max_tokens: 100, messages: [{ role: 'user', content: PROMPT }] };
    return {
      model: CLAUDE,
      ask: async ({ mode, key }) => {
        const client = new AnthropicBedrock({
          baseURL: PROXY_URL,
          apiKey: key,
          awsRegion: 'us-east-1',
          timeout: TIMEOUT_MS,
        });
        if (mode === 'call') return (await client.messages.create(input)).content?.[0].text;
        let text = '';
        for await (const event of await client.messages.create({ ...input, stream: true })) {
          text += event.delta?.text ?? '';
        }
        return text;
      },
    };
  },
  openai: async () => {
    const { default: OpenAI } = await import('openai');
    const input = { model: GPT, messages: [{ role: 'user', content: PROMPT }] };
    return {
      model: GPT,
      ask: async ({ mode, key }) => {
        const client = new OpenAI({ baseURL: `${PROXY_URL}/openai/v1`, apiKey: key, timeout: TIMEOUT_MS });
        if (mode === 'call') return (await client.chat.completions.create(input)).choices?.[0].message.content;
        let text = '';
        for await (const chunk of await client.chat.completions.create({ ...input, stream: true })) {
          text += chunk.choices[0]?.delta.content ?? '';
        }
        return text;
      },
    };
  },
};

const { ask, model } = await CLIENTS[CLIENT]();
const cases = JSON.parse(CASES);
await Promise.all(Array.from({ length: Number(AT_ONCE) }, work));
process.exit();

async function work() {
  for (let next = cases.shift(); next !== undefined; next = cases.shift()) {
    console.log(JSON.stringify({ id: next.id, outcome: await judge(next) }));
  }
}

/** A stream that falls silent would be waited for without end by a client that has no time-out for it. */
async function judge(next) {
  let timer;
  const patience = new Promise((resolve) => (timer = setTimeout(resolve, 5 * TIMEOUT_MS, 'waits on')));
  const asked = ask(next).then(
    (text) => (text === answerOf(model) ? 'complete' : text ? 'part, no error' : 'nothing, no error'),
    (error) => (error.name === 'Error' ? error.constructor.name : error.name),
  );
  return Promise.race([asked, patience]).finally(() => clearTimeout(timer));
}
