/** The JSON schema of configuration files, for editors: `docs/bedrock-proxy.schema.json`. */
import { nameInFile } from '../../src/config/files.ts';
import { OPTION_NAMES, OPTIONS, type OptionSpec } from '../../src/config/options.ts';

/** From the table of options. */
export function renderConfigSchema(): string {
  const properties = OPTION_NAMES.map((name) => [nameInFile(name), describeProperty(OPTIONS[name])]);
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'bedrock-proxy.json',
    description: 'Configuration of bedrock-proxy; the keys are the flags of `bedrock-proxy start`',
    type: 'object',
    additionalProperties: false,
    properties: { $schema: { type: 'string' }, ...Object.fromEntries(properties) },
  };
  // As the formatter has it.
  return `${JSON.stringify(schema, undefined, 2).replaceAll(/\[\s+("\w+"),\s+("\w+")\s+\]/g, '[$1, $2]')}\n`;
}

function describeProperty({ flag, description, repeatable, values, default: fallback }: OptionSpec): object {
  const words = { description, ...(fallback === undefined ? {} : { default: fallback }) };
  if (values !== undefined) return { ...words, enum: values };
  if (!flag.includes('<')) return { ...words, type: 'boolean' };
  if (repeatable !== true) return { ...words, type: ['string', 'number'] };
  return { ...words, anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] };
}
