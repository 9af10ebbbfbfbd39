import { describe, expect, it } from 'vitest';
import { chooseToolFor } from '../../../src/upstream/offline/tool-choice.ts';

const TOOLS = [
  { name: 'lookup', description: 'Returns the weather of a city.' },
  { name: 'convertCurrency', description: 'Converts money. It knows the weather of markets, too.' },
  { name: 'send_mail', description: '' },
].map((tool) => ({ ...tool, schema: {} }));

describe('chooseToolFor', () => {
  it.each([
    { text: 'What is the weather in Paris?', tool: 'lookup', name: 'a word of its description' },
    { text: 'Are cities big?', tool: undefined, name: 'no word in the same form' },
    { text: 'Please convert this', tool: 'convertCurrency', name: 'a word of its name' },
    { text: 'The mails, please', tool: 'send_mail', name: 'the plural of a word of its name' },
    { text: 'What about markets?', tool: undefined, name: 'a word after the first sentence' },
    { text: 'Use send_mail for the weather of the city', tool: 'send_mail', name: 'its name before any word' },
    { text: 'What does it return to the user?', tool: undefined, name: 'words that say nothing' },
    { text: 'Hello', tool: undefined, name: 'nothing' },
    { text: 'The weather of a city, or its currency', tool: 'lookup', name: 'the most words' },
  ])('chooses by $name', ({ text, tool }) => {
    expect(chooseToolFor(text, TOOLS)?.name).toBe(tool);
  });
});
