/** What AWS's clients call services, operations and members. Pure. */

/** `converse_stream`, as botocore makes it of `ConverseStream`. */
export function pythonName(name: string): string {
  return splitWords(name, '_');
}

/** `converse-stream`. */
export function cliName(name: string): string {
  return splitWords(name, '-');
}

/** By the rules of botocore's `xform_name`. */
function splitWords(name: string, separator: string): string {
  const plural = /[A-Z]{2,}s$/.exec(name)?.[0];
  const start = plural === undefined ? name : `${name.slice(0, -plural.length)}${separator}${plural.toLowerCase()}`;
  return start
    .replaceAll(/(.)([A-Z][a-z]+)/g, `$1${separator}$2`)
    .replaceAll(/([a-z0-9])([A-Z])/g, `$1${separator}$2`)
    .toLowerCase();
}

/** `BedrockRuntimeClient` of `bedrock-runtime`. */
export function clientClassName(service: string): string {
  const words = service.split('-').map((word) => (word === 'agentcore' ? 'AgentCore' : capitalise(word)));
  return `${words.join('')}Client`;
}

function capitalise(word: string): string {
  return `${word.charAt(0).toUpperCase()}${word.slice(1)}`;
}
