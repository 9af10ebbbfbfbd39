/** The `completion` command: words only; the scripts are imported when it runs. */
import { defineCommand } from '../command.ts';

/** Shells with a script. */
const COMPLETION_SHELLS = ['bash', 'zsh', 'fish', 'powershell'] as const;

const EXAMPLES = `
Examples:
  $ eval "$(bedrock-proxy completion bash)"       in ~/.bashrc
  $ eval "$(bedrock-proxy completion zsh)"        in ~/.zshrc, after compinit
  $ bedrock-proxy completion fish | source        in ~/.config/fish/config.fish
  > bedrock-proxy completion powershell | Out-String | Invoke-Expression
`;
const NOTES = `
Completes commands, options and their choices, and the names of your keys,
profiles, models and regions. Nothing is sent anywhere.
`;

/** `completion`. */
export const COMPLETION = defineCommand({
  name: 'completion',
  description: 'print a script that completes commands in your shell',
  examples: EXAMPLES,
  notes: NOTES,
  arguments: { shell: { usage: '<shell>', description: 'whose script', choices: COMPLETION_SHELLS } },
  options: {},
  run: async ({ shell }) => (await import('./scripts.ts')).printScript(shell),
});
